#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# beside.sh: the device's netdev goes on as one. While checked transfers of AF_TOE
# are carried by the device, ping and iperf3 use the kernel's own protocols over
# the same link, and the NIC's self-test passes.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

PORT=5201

# The transfers must not be too short to have something beside them.
unset TOE_TEST_DIVISOR

# Bytes that each end sends in a transfer, and what it adds to them.
BYTES=$((2 << 20))
DIGEST=32

# transfers FILE: one after another while the file is there, and then how many
transfers() {
	local count=0 output
	while [ -e "$1" ]; do
		output=$(./transfer -n "$BYTES" -m edge) || { echo "$output"; return 1; }
		count=$((count + 1))
	done
	echo "$count" >"$1"
}

# beside SERVER CLIENT 4|6 COMMAND...: the command succeeds while the device carries transfers
beside() {
	local ip=$3 go pid offloaded bytes wanted count status=0
	topo_up 1500 && ends "$1" "$2" "$3" || return
	NS=$SERVER_NS
	[ "$1" = tcp ] && NS=$CLIENT_NS
	shift 3
	go=$(mktemp)
	offloaded=$(offloaded_connections "$NS")
	bytes=$(datapath_bytes "$NS")
	transfers "$go" &
	pid=$!
	until_true more_offloaded_than "$NS" "$offloaded" && "$@" "$ip" || status=1
	rm "$go"
	wait "$pid" || return
	wanted=$(cat "$go")
	rm "$go"
	[ "$status" -eq 0 ] || return
	# Each transfer is a connection with its bytes, and nothing else was carried.
	count=$(($(offloaded_connections "$NS") - offloaded))
	bytes=$(($(datapath_bytes "$NS") - bytes))
	[ "$count" -eq "$wanted" ] && [ "$bytes" -eq $((2 * wanted * (BYTES + DIGEST))) ] && return
	echo "$wanted transfers: $count connections were offloaded, and had $bytes bytes"
	return 1
}

pinged() {
	in_client ping -q -c 50 -i 0.05 -W 10 -s 1000 "$(server_addr "$1")" | tee /dev/stderr |
		grep -q ' 50 received, 0% packet loss'
}

listens() {
	in_server ss -Hltn "sport = :$PORT" | grep .
}

# iperf 4|6 FILTER IPERF3-ARGUMENTS...: both ends, the result of which makes the filter true
iperf() {
	local ip=$1 filter=$2 listener status result
	shift 2
	in_server iperf3 -s -1 -p "$PORT" >/dev/null &
	listener=$!
	until_true listens || return
	result=$(in_client iperf3 -c "$(server_addr "$ip")" -p "$PORT" --json "$@")
	status=$?
	wait "$listener" || status=1
	[ "$status" -eq 0 ] && jq -e "$filter" >/dev/null <<<"$result" && return
	echo "$result"
	return 1
}

# iperf_tcp 4|6 IPERF3-ARGUMENTS...: 8 MiB, by the kernel's own TCP. The receiver stops at the sender's word, whatever is
# still in buffers: these are kept small.
iperf_tcp() {
	local ip=$1
	shift
	iperf "$ip" '.end.sum_sent.bytes >= 8388608 and .end.sum_received.bytes > 4000000' -n 8M -w 128K "$@"
}

# iperf_udp 4|6: datagrams, of which some may be lost
iperf_udp() {
	iperf "$1" '.end.sum.packets >= 500 and .end.sum.lost_percent < 90' -u -b 4M -l 1000 -n 500K
}

all_together() {
	local ping status=0
	pinged "$1" &
	ping=$!
	iperf_tcp "$1" -P 4 && iperf_tcp "$1" -P 4 --reverse && iperf_udp "$1" || status=1
	wait "$ping" || status=1
	return "$status"
}

# self_test: of both NICs. The offline one takes connections off.
self_test() {
	at "$SERVER_NS" ethtool -t "$LINK" online && at "$CLIENT_NS" ethtool -t "$LINK" online
}

ktap_test ping beside toe tcp 4 pinged
ktap_test iperf3_server beside toe tcp 4 iperf_tcp
ktap_test iperf3_client beside tcp toe 4 iperf_tcp
ktap_test iperf3_udp beside toe tcp 4 iperf_udp
ktap_test all_together beside toe toe 4 all_together
ktap_test all_together_ipv6 beside toe tcp 6 all_together
if [ "$TOE_DEVICE" = pci ]; then
	ktap_test self_test beside toe tcp 4 self_test
fi

ktap_run "$@"
status=$?
topo_down
exit "$status"
