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

# until_true COMMAND...: tries it for a few seconds
until_true() {
	local try
	for ((try = 0; try < 50; try++)); do
		"$@" && return
		sleep 0.1
	done
	echo "in vain: $*"
	return 1
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
		udp_answered "$i" || status=1
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
	./transfer -n 32M &
	transfer=$!
	others
	status=$?
	wait "$transfer" && [ "$status" -eq 0 ] && all_offloaded 1 true
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

ktap_run "$@"
status=$?
topo_down
exit "$status"
