#!/bin/sh
# Keeps a bridge with the gateway's address, NAT where it is asked for, and what keeps pools apart, until the end of
# standard input.
#
# `sh -c THIS bridge.sh BRIDGE GATEWAY/BITS SUBNET NAT`; NAT is empty for none. It writes a line once all is there:
# "ready", or "ready, without ..." where there is no nft. What it made it takes away again, however it ends but by
# SIGKILL. What such an end leaves is known by the bridge's alias ("pv-appengine PID FORWARDING"), and taken away by the
# next one for that bridge.
#
# All bridges of pools are in one group of interfaces, so that each can refuse to forward between itself and the others
# without knowing them.
set -eu
bridge=$1 gateway=$2 subnet=$3 nat=$4
group=28790
case $subnet in
*:*) version=6 family=ip6 switch=/proc/sys/net/ipv6/conf/all/forwarding ;;
*) version=4 family=ip switch=/proc/sys/net/ipv4/ip_forward ;;
esac
forwarding=$(cat $switch)
made=
undo() {
  trap '' HUP INT TERM
  nft delete table inet "pv-$bridge" 2>/dev/null || :
  [ "$forwarding" = 1 ] || echo "$forwarding" >$switch || :
  [ -z "$made" ] || ip link del "$bridge"
}
clear_left() { # what a killed one has left, if it is one of ours that is gone
  read -r owner pid before 2>/dev/null </sys/class/net/"$bridge"/ifalias || return 0
  [ "$owner" = pv-appengine ] || return 0
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "bridge.sh $bridge "; then return 0; fi
  nft delete table inet "pv-$bridge" 2>/dev/null || :
  ip link del "$bridge"
  [ "$before" = 1 ] || forwarding=$before
}
clear_left
ip link add name "$bridge" type bridge
made=yes
trap undo EXIT
trap exit HUP INT TERM
ip link set "$bridge" alias "pv-appengine $$ $forwarding"
ip link set "$bridge" group $group
if [ $version = 6 ]; then
  ip addr add "$gateway" dev "$bridge" nodad
else
  ip addr add "$gateway" dev "$bridge"
fi
ip link set "$bridge" up
said=ready
if ! command -v nft >/dev/null; then
  [ -n "$nat" ] && said="ready, without nft: no NAT, and not kept apart from other pools" ||
    said="ready, without nft: not kept apart from other pools"
  forwarding=1 # not ours to put back
else
  masquerade=
  if [ -n "$nat" ]; then
    masquerade="chain postrouting {
      type nat hook postrouting priority srcnat
      $family saddr $subnet oifname != \"$bridge\" masquerade
    }"
    echo 1 >$switch
  else
    forwarding=1 # not ours to put back
  fi
  nft -f - <<RULES
table inet pv-$bridge {
  $masquerade
  chain forward {
    type filter hook forward priority filter
    iifname "$bridge" oifname != "$bridge" oifgroup $group drop
    oifname "$bridge" iifname != "$bridge" iifgroup $group drop
  }
}
RULES
fi
echo "$said"
read -r _ || :
