#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# devices.sh: the device over every kind of netdev, with what the netdev leaves
# to the hardware and without; and what it leaves alone.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

# What netdevs that carry the link are called.
UNDER=under0

# fresh: namespaces without a link
fresh() {
	# Without its devices tun_link ends, which holds the namespaces.
	[ ! -e "/run/netns/$SERVER_NS" ] || ip -n "$SERVER_NS" link del "$LINK" 2>/dev/null
	topo_namespaces
}

# Each link_KIND joins the namespaces by netdevs of that kind, called $LINK, or
# returns KTAP_SKIP if this kernel or machine has none.

link_veth() {
	topo_veth "$LINK"
}

# on_veth ip-link-ARGUMENTS...: netdevs on top of the ends of a veth pair
on_veth() {
	local ns
	topo_veth "$UNDER" || return
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		ip -n "$ns" link set "$UNDER" up || return
		ip -n "$ns" link add "$LINK" link "$UNDER" type "$@" || return "$KTAP_SKIP"
	done
}

link_vlan() {
	on_veth vlan id 7
}

link_macvlan() {
	on_veth macvlan mode bridge
}

# over_veth ip-link-ARGUMENTS...: netdevs that the ends of a veth pair belong to
over_veth() {
	local ns
	topo_veth "$UNDER" || return
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		ip -n "$ns" link add "$LINK" type "$@" || return "$KTAP_SKIP"
		ip -n "$ns" link set "$UNDER" master "$LINK" || return
		ip -n "$ns" link set "$UNDER" up || return
	done
}

link_bridge() {
	over_veth bridge
}

link_bond() {
	over_veth bond mode active-backup
}

link_tun() {
	modprobe -q tun
	./tun_link "$SERVER_NS" "$CLIENT_NS" "$LINK"
}

link_tun_offloads() {
	modprobe -q tun
	./tun_link -o "$SERVER_NS" "$CLIENT_NS" "$LINK"
}

link_virtio() {
	local nics try
	modprobe -q virtio_net
	nics=(/sys/bus/virtio/drivers/virtio_net/virtio*)
	[ "${#nics[@]}" -eq 2 ] || return "$KTAP_SKIP"
	# They come back some time after the namespaces of the test before are gone.
	for ((try = 0; try < 50; try++)); do
		nics=(/sys/bus/virtio/drivers/virtio_net/virtio*/net/*)
		[ "${#nics[@]}" -eq 2 ] && break
		sleep 0.1
	done
	ip link set "${nics[0]##*/}" netns "$SERVER_NS" name "$LINK" &&
		ip link set "${nics[1]##*/}" netns "$CLIENT_NS" name "$LINK"
}

# no_offloads: all that the netdevs can do for TCP is switched off
no_offloads() {
	local ns
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		ip netns exec "$ns" ethtool -K "$LINK" rx off tx off tso off gso off gro off &>/dev/null
		[ "$(ip netns exec "$ns" ethtool -k "$LINK" | grep -cE '^(generic|tcp)-[a-z]+-offload: on')" -eq 0 ] || return
	done
}

# carries KIND SERVER CLIENT 4|6 [COMMAND...]: a transfer both ways, by devices on netdevs of that kind, that the command
# was run on before
carries() {
	local kind=$1 server=$2 client=$3 ip=$4
	shift 4
	fresh && "link_$kind" && topo_addresses && { [ $# -eq 0 ] || "$@"; } &&
		ends "$server" "$client" "$ip" && all_offloaded 1 ./transfer -n 8M -m edge
}

# nothing_taken: the device below the link carries and has seen no connection
nothing_taken() {
	ip netns exec "$SERVER_NS" toetool stats "$UNDER" --json |
		jq -e '[.[].counters[] | add] | add == 0' >/dev/null && return
	ip netns exec "$SERVER_NS" toetool stats "$UNDER"
	return 1
}

# The device of a netdev that carries VLANs leaves what is on them alone, be it offloaded there or not.
vlan_of_a_device() {
	fresh && link_vlan && topo_addresses && dev_add "$SERVER_NS" "$UNDER" || return
	ends_without_device toe tcp 4
	./transfer -n 1M && nothing_taken &&
		ends toe tcp 4 && all_offloaded 1 ./transfer -n 8M && nothing_taken
}

# udp_answered TEXT: a datagram with it to the server comes back
udp_answered() {
	[ "$(in_client socat -t 1 - UDP:10.77.0.1:7070 <<<"$1")" = "$1" ]
}

# others: what the netdev carries besides TCP that is offloaded
others() {
	local server status=0 i
	ip netns exec "$SERVER_NS" socat UDP-RECVFROM:7070,fork EXEC:cat >/dev/null 2>&1 &
	server=$!
	until_true udp_answered first || status=1
	for ((i = 0; i < 5; i++)); do
		until_true udp_answered "$i" || status=1
	done
	kill "$server"
	in_client ping -qc 20 -i 0.01 -W 5 10.77.0.1 && in_client ping -qc 20 -i 0.01 -W 5 fd77::1 || status=1
	TOE_TEST_SERVER=tcp ./transfer -n 4M && TOE_TEST_SERVER=tcp TOE_TEST_SERVER_ADDR=fd77::1 \
		TOE_TEST_CLIENT_ADDR=fd77::2 ./transfer -n 4M || status=1
	return "$status"
}

# Connections are offloaded all the while, and nothing else is.
other_traffic() {
	local transfer status
	fresh && link_veth && topo_addresses && ends toe tcp 4 || return
	all_offloaded 1 ./transfer -n 32M &
	transfer=$!
	others
	status=$?
	wait "$transfer" && [ "$status" -eq 0 ]
}

ktap_test other_traffic other_traffic
ktap_test vlan_of_a_device vlan_of_a_device
ktap_test veth_no_offloads carries veth toe toe 4 no_offloads
for kind in vlan tun virtio; do
	ktap_test "$kind" carries "$kind" toe tcp 4
	ktap_test "${kind}_ipv6" carries "$kind" tcp toe 6
	ktap_test "${kind}_no_offloads" carries "$kind" toe toe 4 no_offloads
done
ktap_test virtio_no_offloads_ipv6 carries virtio toe toe 6 no_offloads
for kind in tun_offloads macvlan bridge bond; do
	ktap_test "$kind" carries "$kind" toe toe 4
	ktap_test "${kind}_ipv6" carries "$kind" toe toe 6
done

# event SERVER CLIENT TEST: a test of sockets_device on a link of its own
event() {
	local output
	fresh && link_veth && topo_addresses && ends "$1" "$2" 4 && output=$(./sockets_device "$3") && return
	echo "$output"
	return 1
}

# What kernel TCP does, where there is a comparison.
for test in netdev_deleted{,__in_use} device_removed__{in_use,while_closing,options} namespace_deleted; do
	ktap_test "tcp_$test" event tcp tcp "$test"
	ktap_test "$test" event toe tcp "$test"
	ktap_test "${test}_client" event tcp toe "$test"
done
for test in device_removed device_returns; do
	ktap_test "$test" event toe tcp "$test"
done

# options SERVER CLIENT 4|6: reach the wire when they are set after the hand-over
options() {
	fresh && link_veth && topo_addresses && ends "$@" && all_offloaded 4 ./sockets_device 'options_*'
}
ktap_test tcp_options options tcp tcp 4
ktap_test options options toe tcp 4
ktap_test options_ipv6 options tcp toe 6

# Until it is over, the link is disturbed by COMMAND...
disturbed() {
	local transfer status
	./transfer -n 6M -m edge &
	transfer=$!
	while [ -d "/proc/$transfer" ]; do
		"$@" || break
	done
	wait "$transfer"
}

mtu_changes() {
	local mtu ns
	for mtu in 1000 700 1400 1500; do
		for ns in "$SERVER_NS" "$CLIENT_NS"; do
			ip -n "$ns" link set "$LINK" mtu "$mtu" || return
		done
		sleep 0.05
	done
}

neighbour_flushes() {
	ip -n "$SERVER_NS" neigh flush dev "$LINK" && ip -n "$CLIENT_NS" neigh flush dev "$LINK" && sleep 0.1
}

link_flaps() {
	sleep 0.2
	ip -n "$SERVER_NS" link set "$LINK" down && ip -n "$SERVER_NS" link set "$LINK" up
}

# Segments take another way, in and out, than when the connection began.
route_changes() {
	ip -n "$CLIENT_NS" route replace 10.77.0.1 dev other0 && ip -n "$SERVER_NS" route replace 10.77.0.2 dev other0 &&
		sleep 0.1 &&
		ip -n "$CLIENT_NS" route del 10.77.0.1 && ip -n "$SERVER_NS" route del 10.77.0.2 && sleep 0.1
}

# goes_on SERVER CLIENT COMMAND...: so does a transfer
goes_on() {
	local server=$1 client=$2 ns
	shift 2
	fresh && link_veth && topo_addresses && topo_veth other0 || return
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		ip -n "$ns" link set other0 up || return
	done
	ends "$server" "$client" 4 && all_offloaded 1 disturbed "$@"
}

for event in mtu_changes neighbour_flushes link_flaps route_changes; do
	ktap_test "tcp_$event" goes_on tcp tcp "$event"
	ktap_test "$event" goes_on toe tcp "$event"
done

# routed: the namespaces are joined by a router
ROUTER_NS=toe_r
routed() {
	fresh
	ip netns add "$ROUTER_NS" 2>/dev/null
	ip link add "$LINK" netns "$SERVER_NS" type veth peer name left netns "$ROUTER_NS" &&
		ip link add "$LINK" netns "$CLIENT_NS" type veth peer name right netns "$ROUTER_NS" &&
		ip -n "$SERVER_NS" addr add 10.77.0.1/32 dev "$LINK" && ip -n "$CLIENT_NS" addr add 10.77.0.2/32 dev "$LINK" &&
		ip -n "$ROUTER_NS" addr add 10.77.0.3/32 dev left && ip -n "$ROUTER_NS" link set left up &&
		ip -n "$ROUTER_NS" link set right up && ip -n "$SERVER_NS" link set "$LINK" up &&
		ip -n "$CLIENT_NS" link set "$LINK" up && ip -n "$SERVER_NS" route add default dev "$LINK" &&
		ip -n "$CLIENT_NS" route add default dev "$LINK" && ip -n "$ROUTER_NS" route add 10.77.0.1 dev left &&
		ip -n "$ROUTER_NS" route add 10.77.0.2 dev right && ip -n "$ROUTER_NS" addr add 10.77.0.4/32 dev right &&
		ip netns exec "$ROUTER_NS" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.{left,right}.proxy_arp=1
}

# narrow SIDE ADDRESS: packets to it must not be longer than 800 bytes there
narrow() {
	ip -n "$ROUTER_NS" route replace "$2" dev "$1" mtu lock 800
}

narrow_both() {
	sleep 0.2
	narrow left 10.77.0.1 && narrow right 10.77.0.2
}

# path_narrows SERVER CLIENT: ICMP says in mid-transfer that packets are too large
path_narrows() {
	routed && ends "$1" "$2" 4 && all_offloaded 1 disturbed narrow_both
}

# fragmented SERVER CLIENT: what the client sends arrives in fragments
fragmented() {
	routed && ip netns exec "$CLIENT_NS" sysctl -qw net.ipv4.ip_no_pmtu_disc=1 &&
		narrow left 10.77.0.1 && ends "$1" "$2" 4 && all_offloaded 1 ./transfer -n 8M:1M || return
	# shellcheck disable=SC2016	# awk's fields
	[ "$(ip netns exec "$SERVER_NS" awk '$1 == "Ip:" { n = $16 } END { print n }' /proc/net/snmp)" -gt $((2000 / ${TOE_TEST_DIVISOR:-1})) ]
}

for event in path_narrows fragmented; do
	ktap_test "tcp_$event" "$event" tcp tcp
	ktap_test "$event" "$event" toe tcp
done

# The module stays as long as there are sockets of its, and goes then, devices or not.
module_unloads() {
	local holder status=0
	fresh && link_veth && topo_addresses && ends toe toe 4 && ./transfer -n 1M || return
	ip netns exec "$SERVER_NS" toe_run socat -u TCP-LISTEN:7777 - >/dev/null 2>&1 &
	holder=$!
	until_true grep -q '^toe .* [1-9][0-9]* ' /proc/modules || status=1
	! rmmod toe 2>/dev/null || status=1
	kill "$holder"
	wait "$holder"
	[ "$status" -eq 0 ] && until_true rmmod toe
}
ktap_test module_unloads module_unloads

ktap_run "$@"
status=$?
fresh
topo_down
ip netns del "$ROUTER_NS" 2>/dev/null
exit "$status"
