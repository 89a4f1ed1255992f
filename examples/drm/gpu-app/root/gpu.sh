#!/bin/sh
# The provider: a container that has the GPU. In an image of your own the nodes come from the container's
# configuration; here the program makes them, with the numbers that a first GPU has.
mkdir -p /dev/dri
mknod -m 660 /dev/dri/card0 c 226 0
mknod -m 666 /dev/dri/renderD128 c 226 128
echo "card0 and renderD128 are in /dev/dri"
exec sleep infinity
