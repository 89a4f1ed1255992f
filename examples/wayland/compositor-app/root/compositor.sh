#!/bin/sh
# The provider: a compositor, here weston without a screen, so that this runs everywhere. On a device it would be
# `weston --backend=drm-backend.so`, and a card a service that this container requires.
export XDG_RUNTIME_DIR=/run/display
mkdir -p "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
rm -f "$XDG_RUNTIME_DIR"/wayland-0* # of the one before, if it crashed
exec weston --backend=headless-backend.so --use-pixman --width=640 --height=480 --socket=wayland-0
