#!/bin/sh
# Keeps a bridge with the gateway's address, and NAT where it is asked for, until the end of standard input.
#
# `sh -c THIS bridge.sh BRIDGE GATEWAY/BITS SUBNET NAT`; NAT is empty for none. It writes a line once all is there. What
# it made it takes away again, however it ends but by SIGKILL.
set -eu
bridge=$1 gateway=$2 subnet=$3 nat=$4
forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
made=
undo() {
  trap '' HUP INT TERM
  [ -z "$nat" ] || nft delete table ip "pv-$bridge" 2>/dev/null || :
  [ "$forwarding" = 1 ] || echo "$forwarding" >/proc/sys/net/ipv4/ip_forward || :
  [ -z "$made" ] || ip link del "$bridge"
}
ip link add name "$bridge" type bridge
made=yes
trap undo EXIT
trap exit HUP INT TERM
ip addr add "$gateway" dev "$bridge"
ip link set "$bridge" up
if [ -n "$nat" ]; then
  echo 1 >/proc/sys/net/ipv4/ip_forward
  nft -f - <<RULES
table ip pv-$bridge {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr $subnet oifname != "$bridge" masquerade
  }
}
RULES
else
  forwarding=1 # not ours to put back
fi
echo ready
read -r _ || :
