#!/bin/sh
# Starts what compose.yaml says, for a Docker without its Compose plug-in. `up.sh down` removes it again.
set -eu
cd "$(dirname "$0")"
IMAGE=pv-xconnect-examples
PROJECT=shop

if [ "${1:-up}" = down ]; then
  docker ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT" | xargs --no-run-if-empty docker rm --force
  exit
fi

# run SERVICE NUMBER PROGRAM LABEL...: one container, labelled as Compose does.
run() {
  service=$1 number=$2 program=$3
  shift 3
  for label in "$@"; do
    set -- "$@" --label "$label"
    shift
  done
  docker run --detach --init --network none --name "$PROJECT-$service-$number" \
    --label "com.docker.compose.project=$PROJECT" \
    --label "com.docker.compose.service=$service" \
    --label "com.docker.compose.container-number=$number" \
    "$@" "$IMAGE" node "$program"
}

docker image inspect "$IMAGE" >/dev/null 2>&1 || docker build --tag "$IMAGE" --file Dockerfile ..

run site 1 ingress/site/root/server.mjs 'pv.provide.site=http:80'
run api 1 ingress/api/root/server.mjs 'pv.provide.api=http:/run/api/http.sock'
run echo 1 ingress/echo/root/server.mjs 'pv.provide.echo=http:9000'

for number in 1 2; do
  run greeter "$number" unix/server-app/root/server.mjs \
    'pv.provide.greeting=unix:/run/greeting/greeting.sock' \
    'pv.provide.greeting.allow=["container:guest"]'
done
run guest 1 unix/client-app/root/client.mjs 'pv.require.greeting='

run thermostat 1 dbus-hosted/thermostat/root/thermostat.mjs \
  'pv.services=[{"type":"dbus","owns":"org.example.Thermostat","role":"thermostat","allow":["operator"]}]' \
  'pv.require.system-bus=/run/dbus/system_bus_socket' \
  'pv.require.system-bus.role=thermostat'
run operator 1 dbus-hosted/operator/root/operator.mjs \
  'pv.require.system-bus=/run/dbus/system_bus_socket' \
  'pv.require.system-bus.role=operator'
run visitor 1 dbus-hosted/visitor/root/visitor.mjs \
  'pv.require.system-bus=/run/dbus/system_bus_socket' \
  'pv.require.system-bus.role=visitor'
