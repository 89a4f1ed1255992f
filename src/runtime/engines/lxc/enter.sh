#!/bin/sh
# Lays out the root of a container in a mount namespace of its own, then becomes lxc-start: mounts and loop devices go
# with the last process of the container, however that ends, and the host never sees them.
#
# `sh -c THIS enter.sh COMPLAINTS ROOTFS LOWER UPPER WORK [IMAGE POINT]... -- PROGRAM ARG...` runs in that namespace.
# Each IMAGE, a squashfs, is mounted at POINT; then ROOTFS is the overlay of LOWER (lowerdir of mount(8)), UPPER and WORK.
# What fails is written to the file COMPLAINTS. Once the root is there this is in it, writes a line to descriptor 3, and
# waits for a line of standard input; without one it ends.
set -eu
complaints=$1 rootfs=$2 lower=$3 upper=$4 work=$5
shift 5
exec 2>"$complaints"
while [ "$1" != -- ]; do
  mount -n -t squashfs -o loop,ro "$1" "$2"
  shift 2
done
shift
mount -n -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$rootfs"
cd "$rootfs"
echo ready >&3
read -r _ || exit 0
cd /
exec "$@" </dev/null 2>&1 3>&-
