#!/bin/sh
# Stands in for a child of pv-xconnect, by the name that it has: does what the line of its plan says that has the number
# of its start, and what the last line says from then on. It keeps a diary.
#
#   ready, word TEXT   says it to the supervisor     exit N, killed   ends so
#   wait               until SIGTERM                 stubborn         until SIGKILL
name=${0##*/}
folder=$PVX_TEST_FOLDER
note() { echo "$name $*" >> "$folder/diary"; }
note "start $$ $PVX_INCARNATION"
number=$(grep -c "^$name start" "$folder/diary")
lines=$(wc -l < "$folder/plan-$name")
[ "$number" -le "$lines" ] || number=$lines
linger() { while :; do sleep 0.02; done; }
trap 'note TERM; exit 0' TERM
trap 'note HUP; echo G >&5' HUP
# shellcheck disable=SC2046 # its words are what is wanted
set -- $(sed -n "${number}p" "$folder/plan-$name")
while [ $# -gt 0 ]; do
  case $1 in
    ready) echo R >&5; note ready ;;
    word) echo "$2" >&5; shift ;;
    exit) note "exit $2"; exit "$2" ;;
    killed) kill -9 $$ ;;
    wait) linger ;;
    stubborn) trap 'note TERM' TERM; linger ;;
  esac
  shift
done
