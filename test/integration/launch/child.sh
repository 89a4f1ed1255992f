#!/bin/sh
# Stands in for a child of pv-xconnect, by the name that it has: does what the line of its plan says that has the number
# of its start, and what the last line says from then on. It keeps a diary.
#
#   ready, word TEXT   says it to the supervisor     exit N, killed   ends so
#   wait               until SIGTERM                 stubborn         until SIGKILL
#   chatter            the same, and says that it is alive
#   heed               does what it is told in an upgrade, but for what follows: Z, C
#   handed             has what was handed over      until FILE       waits for it
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
trap 'exit 0' USR1
# Each in a subshell, which can read without keeping signals from us; it ends with its channel.
heed_daemon() {
  while read -r word <&8; do
    note "$word"
    case $1/$word in
      Z/Z* | C/C) ;;
      */Z*) echo "z${word#Z}" >&5 ;;
      */C) kill -USR1 $$ ;;
    esac
  done
}
heed_channel() {
  while word=$(dd bs=16 count=1 <&5 2>/dev/null) && [ -n "$word" ]; do
    note "$word"
    case $1/$name/$word in
      C/*) ;;
      */pvx-relay/C*) kill -USR1 $$ ;;
    esac
  done
}
# shellcheck disable=SC2046 # its words are what is wanted
set -- $(sed -n "${number}p" "$folder/plan-$name")
while [ $# -gt 0 ]; do
  case $1 in
    ready) echo R >&5; note ready ;;
    word) echo "$2" >&5; shift ;;
    heed)
      case ${2-} in Z | C) but=$2 && shift ;; *) but='' ;; esac
      if [ "$name" = node ]; then heed_daemon "$but" & else heed_channel "$but" & fi
      ;;
    handed) printf h >&5 ;;
    until) while [ ! -e "$folder/$2" ]; do sleep 0.02; done; shift ;;
    exit) note "exit $2"; exit "$2" ;;
    killed) kill -9 $$ ;;
    wait) linger ;;
    chatter) trap 'note TERM' TERM; while :; do echo A >&5; sleep 0.02; done ;;
    stubborn) trap 'note TERM' TERM; linger ;;
  esac
  shift
done
