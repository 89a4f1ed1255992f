#!/bin/sh
# The consumer: nothing but curl. The socket is there because the manifest asks for it.
ask() { curl --silent --unix-socket /run/pv/services/thermostat.sock "$@"; }

while [ ! -S /run/pv/services/thermostat.sock ]; do sleep 0.1; done
while true; do
  ask http://localhost/temperature
  ask --request PUT --data 22 http://localhost/target
  ask --header 'X-PV-Role: root' --header 'X-PV-Client: somebody' http://localhost/temperature
  sleep 2
done
