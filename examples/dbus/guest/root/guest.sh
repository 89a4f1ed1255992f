#!/bin/sh
# May ask for the temperature, and nothing else. It uses another D-Bus library than the operator.
bus=unix:path=/run/pv/services/house-bus.sock

call() {
    member=org.example.Heating.$1
    shift
    dbus-send --bus=$bus --print-reply=literal --dest=org.example.Heating / "$member" "$@" 2>&1
}

while sleep 2; do
    echo "Temperature: $(call Temperature)"
    echo "SetTarget: $(call SetTarget double:30)"
done
