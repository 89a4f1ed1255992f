#!/bin/sh
# What the first process of a container does: it enters a root of its own, then it runs the program and reaps.
#
# The root is a tmpfs with the host's folders bound read-only, all that is mounted below them included, and with /run,
# /tmp, /dev and /proc of its own. What can't be made read-only is covered. This needs util-linux and a POSIX shell, no
# image and no compiler.
#
# `sh -s NAME APP NETWORK MODULES [--bind FOLDER PLACE | --cover FOLDER]... -- PROGRAM ARG...` reads it on standard
# input. APP and MODULES are the folders for /app and /node_modules, or empty. Each FOLDER is bound at PLACE, or covered
# where it is, in the order given. NETWORK is empty for the host's, "own" for loopback alone, or "own" and, for each
# interface, NAME ADDRESS/BITS GATEWAY MAC PORT BRIDGE HOST: then a veth pair is made, from NAME to PORT, which is
# attached to BRIDGE in the network of process HOST. GATEWAY is "-" for no route.
#
# On descriptor 3 it writes its pid as the host counts, once it is in its own root with its program started: whoever
# enters it then can't end up in the host's files.
#
# SIGTERM is passed on to the program. When the program ends, this ends with the same code, and the kernel ends what is
# left.
set -eu
exec 2>&1

plug_in() { # own (NAME ADDRESS/BITS GATEWAY MAC PORT BRIDGE HOST)...
  shift
  while [ $# -gt 0 ]; do
    interface=$1 address=$2 gateway=$3 mac=$4 port=$5 bridge=$6 there=/proc/$7/ns/net
    shift 7
    # The port of this container's last run may still be there for a moment.
    nsenter "--net=$there" ip link del "$port" 2>/dev/null || :
    ip link add "$interface" address "$mac" type veth peer name "$port" netns "$there"
    nsenter "--net=$there" ip link set "$port" master "$bridge" up
    case $address in
    *:*) ip addr add "$address" dev "$interface" nodad ;;
    *) ip addr add "$address" dev "$interface" ;;
    esac
    ip link set "$interface" up
    [ "$gateway" = - ] || ip route add default via "$gateway"
  done
}

main() { # whole before it runs: its programs share standard input with the shell
  name=$1 app=$2 network=$3 modules=$4
  shift 4
  # -n below: nothing is noted in the host's /run/mount.
  read -r pid _ </proc/self/stat # the host's /proc, so the host's number

  hostname -- "$name" 2>/dev/null || printf %s "$name" >/proc/sys/kernel/hostname
  if [ -n "$network" ]; then
    ip link set lo up
    # shellcheck disable=SC2086 # it is several words
    plug_in $network
  fi

  root=/sys/root # /sys: a folder that every Linux has, and that nobody needs in here meanwhile
  mount -n -t tmpfs tmpfs /sys
  mkdir $root
  mount -n -t tmpfs -o mode=0755,nosuid tmpfs $root
  for entry in /*; do
    case $entry in /proc | /sys | /dev | /run | /tmp | /lost+found) continue ;; esac
    if [ -L "$entry" ]; then
      ln -s "$(readlink "$entry")" "$root$entry"
    elif [ -d "$entry" ]; then
      mkdir "$root$entry"
      mount -n --rbind "$entry" "$root$entry"
    fi
  done
  if [ -n "$app" ]; then
    [ -d $root/app ] || mkdir $root/app
    mount -n --rbind "$app" $root/app
  fi
  if [ -n "$modules" ] && [ ! -e $root/node_modules ]; then
    mkdir $root/node_modules
    mount -n --rbind "$modules" $root/node_modules
  fi

  while [ "$1" != -- ]; do
    case $1 in
    --bind)
      [ -d "$root$3" ] || mkdir "$root$3"
      mount -n --rbind "$2" "$root$3"
      shift 3
      ;;
    --cover)
      [ ! -d "$root$2" ] || mount -n -t tmpfs -o ro,mode=0 tmpfs "$root$2"
      shift 2
      ;;
    esac
  done
  shift

  # A remount must repeat the other flags: in a user namespace none of them may be taken away.
  while read -r _ _ _ _ point options _; do
    case $point in $root/*) ;; *) continue ;; esac
    case $options in ro | ro,*) continue ;; esac
    case $point in *\\*) point=$(printf %b "$(printf %s "$point" | sed 's/\\/\\0/g')") ;; esac
    mount -n -o "remount,bind,ro$(printf %s "$options" | cut -c 3-)" "$point" 2>/dev/null ||
      mount -n -t tmpfs -o ro tmpfs "$point"
  done <<MOUNTS
$(cat /proc/self/mountinfo)
MOUNTS

  cd $root
  mkdir proc run tmp dev .host
  mount -n -t tmpfs -o mode=0755,nosuid,nodev tmpfs run
  mount -n -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
  mount -n -t tmpfs -o mode=0755,nosuid tmpfs dev
  mkdir -m 1777 dev/shm
  for node in null zero full random urandom tty; do
    [ -e /dev/$node ] || continue
    : >dev/$node
    mount -n --bind /dev/$node dev/$node
  done
  ln -s /proc/self/fd dev/fd
  ln -s /proc/self/fd/0 dev/stdin
  ln -s /proc/self/fd/1 dev/stdout
  ln -s /proc/self/fd/2 dev/stderr
  mount -n -t proc -o nosuid,nodev,noexec proc proc
  pivot_root . .host
  cd /
  umount -n -l /.host
  rmdir /.host
  mount -n -o remount,bind,ro,nosuid /

  [ -z "$app" ] || cd /app
  "$@" 3>&- &
  child=$!
  trap 'kill -TERM $child 2>/dev/null || :' TERM
  echo "$pid" >&3
  exec 3>&- 2>/dev/null # a shell's own word on how the program ended is no output of the container
  while :; do
    code=0
    wait $child || code=$?
    kill -0 $child 2>/dev/null || exit $code # still there: it was a signal that ended the wait
  done
}

main "$@" </dev/null
