#!/bin/sh
# The consumer: an ordinary Wayland client, with the environment that every such client has. Its window is there for
# two seconds, again and again.
export XDG_RUNTIME_DIR=/run WAYLAND_DISPLAY=wayland-0
until [ -S /run/wayland-0 ]; do sleep 0.1; done
while :; do
  echo "the compositor has $(wayland-info | grep -c interface:) interfaces"
  timeout --foreground --preserve-status -s INT 2 weston-simple-shm && echo "I had a window"
done
