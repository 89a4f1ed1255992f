#!/bin/sh
# A bus of this container's own, open to whoever reaches it, and one service on it.
mkdir -p /run/house
dbus-daemon --config-file=/app/bus.conf --nofork --nopidfile &
exec node /app/heating.mjs
