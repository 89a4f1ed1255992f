#!/bin/sh
# Makes the image pv-xconnect from this checkout, which has to be built (npm ci). BASE: an image with Node.js 20 and the
# C library that the checkout was built for; the default is Debian 12's.
set -eu
cd "$(dirname "$0")/../.."
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

# What the npm package holds, the native parts as they were built here, and the packages that it needs when it runs.
npm pack --silent --ignore-scripts --pack-destination "$context" >/dev/null
tar -C "$context" -xzf "$context"/pv-xconnect-*.tgz
mkdir -p "$context/package/build/Release"
for name in pvx.node pv-xconnect pvx-broker pvx-relay pvx-bus pvx-enter; do
  cp "build/Release/$name" "$context/package/build/Release"
done
npm ls --omit=dev --all --parseable | tail -n +2 | while read -r path; do
  to="$context/package/${path#"$PWD"/}"
  mkdir -p "$(dirname "$to")"
  [ -e "$to" ] || cp -r "$path" "$to"
done
cp packaging/docker/Dockerfile "$context"
docker build --tag pv-xconnect ${BASE:+--build-arg "BASE=$BASE"} "$context"
