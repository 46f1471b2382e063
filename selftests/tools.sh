#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools.sh: toetool, toe_run and the settings, as an administrator uses them.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh
trap 'sysctl -qw net.toe.enabled=1 net.toe.rmem=262144 net.toe.wmem=262144; topo_down' EXIT

# json FILTER COMMAND...: whether what the command prints makes the filter true
json() {
	local filter=$1
	shift
	in_server "$@" --json | jq -e "$filter" >/dev/null || { echo "$* --json: not $filter"; return 1; }
}

# fails STATUS TEXT COMMAND...: whether it fails so, and says so in one line
fails() {
	local status=$1 text=$2 output got
	shift 2
	output=$("$@" 2>&1 >/dev/null)
	got=$?
	[ "$got" -eq "$status" ] && [ "$(wc -l <<<"$output")" -eq 1 ] && [[ $output == *"$text"* ]] && return
	echo "$*: exit status $got, not $status with '$text': $output"
	return 1
}

dev_add_show_del() {
	in_server toetool dev add "$LINK" && in_server toetool dev add lo &&
		json '[.[].ifname] == ["lo", "toe0"]' toetool dev show &&
		json '.[0].kind == env.TOE_DEVICE and .[0].datapath == "npu" and .[0].connections == 0' toetool dev show "$LINK" &&
		in_server toetool dev del lo &&
		json '[.[].ifname] == ["toe0"]' toetool dev show
}

dev_of_other_namespaces() {
	in_server toetool dev add "$LINK" && [ "$(in_client toetool dev show --json | jq length)" -eq 0 ]
}

dev_errors() {
	fails 5 'no netdev nosuch' in_server toetool dev add nosuch &&
		fails 5 'no device' in_server toetool dev del "$LINK" &&
		fails 5 'no device' in_server toetool dev show "$LINK" &&
		fails 5 'no device' in_server toetool conn --dev "$LINK" &&
		in_server toetool dev add "$LINK" &&
		fails 1 'already' in_server toetool dev add "$LINK" &&
		fails 4 'CAP_NET_ADMIN' in_server setpriv --reuid 65534 --clear-groups toetool dev del "$LINK" &&
		in_server setpriv --reuid 65534 --clear-groups toetool dev show >/dev/null
}

dev_goes_with_its_netdev() {
	in_server ip link add gone type dummy && in_server toetool dev add gone &&
		json 'length == 1' toetool dev show && in_server ip link del gone &&
		json 'length == 0' toetool dev show
}

# More than one piece of a dump holds.
dev_many() {
	local i
	for ((i = 0; i < 80; i++)); do
		in_server ip link add "many$i" type dummy && in_server toetool dev add "many$i" || return
	done
	json '([.[].ifindex] | unique | length) == 80' toetool dev show &&
		json '([.[].ifindex | values] | unique | length) == 80' toetool stats &&
		json '[.[] | select(.ifindex) | .counters | map(length) | add] | unique | length == 1' toetool stats
}

# with_listener COMMAND...: while a program under toe_run listens on port 7777 and accepts one connection
with_listener() {
	local server client status
	setsid ip netns exec "$SERVER_NS" toe_run socat -u TCP-LISTEN:7777,reuseaddr,fork EXEC:'sleep 60' &>/dev/null &
	server=$!
	until_true json 'any(.[]; .local_port == 7777 and .state == "listen")' toetool conn || return
	setsid ip netns exec "$CLIENT_NS" socat -u EXEC:'sleep 60' TCP:10.77.0.1:7777 &>/dev/null &
	client=$!
	until_true json 'any(.[]; .local_port == 7777 and .state == "established")' toetool conn && "$@"
	status=$?
	kill -- "-$server" "-$client"
	return "$status"
}

conn_filters() {
	local established='length == 1 and .[0].remote_addr == "10.77.0.2" and .[0].state == "established"'
	json "$established" toetool conn --state established &&
		json "$established" toetool conn --path "$1" &&
		json "$established" toetool conn --port 7777 --state established,time-wait &&
		json 'length == 1 and .[0].backlog > 0' toetool conn --state listen --local-port 7777 &&
		json 'length == 0' toetool conn --remote-port 7777 &&
		json 'length == 0' toetool conn --state syn-sent &&
		json 'all(.[]; any(.processes[]; .comm == "socat"))' toetool conn --processes --state listen
}

conn_offloaded() {
	in_server toetool dev add "$LINK" && with_listener conn_is_offloaded
}

conn_is_offloaded() {
	json 'length == 1 and .[0].path == "offloaded" and .[0].fallback_reason == null' toetool conn --dev "$LINK" &&
		json '.[0].connections == 1' toetool dev show "$LINK" && conn_filters offloaded &&
		fails 1 'carries connections' in_server toetool dev del "$LINK"
}

conn_fallback() {
	local before
	before=$(counters "$SERVER_NS" fallback no-device)
	with_listener conn_filters fallback && [ "$(counters "$SERVER_NS" fallback no-device)" -gt "$before" ]
}

conn_disabled() {
	in_server toetool dev add "$LINK" && sysctl -qw net.toe.enabled=0 &&
		with_listener json 'any(.[]; .path == "fallback" and .fallback_reason == "disabled")' toetool conn
}

conn_buffers() {
	in_server toetool dev add "$LINK" && sysctl -qw net.toe.rmem=1048576 net.toe.wmem=32768 &&
		with_listener json 'any(.[]; .rx_buf_size == 1048576 and .tx_buf_size == 32768)' toetool conn
}

# Kernel TCP's tools show the inner socket, which is nobody's.
conn_in_ss() {
	local shown
	shown=$(in_server ss -Htnp state established sport = :7777) &&
		[ "$(wc -l <<<"$shown")" -eq 1 ] && [[ $shown == *10.77.0.2:* && $shown != *users:* ]] &&
		json 'any(.[]; any(.processes[]; .comm == "socat"))' toetool conn --processes --state established
}

conn_shown_by_ss() {
	in_server toetool dev add "$LINK" && with_listener conn_in_ss
}

# many PATTERN FILE: whether more than a few of its lines match
many() {
	[ "$(grep -c "$1" "$2")" -gt 10 ]
}

# A capture has the segments of offloaded connections, both ways.
conn_captured() {
	local capture pid
	# What a NIC carries its host doesn't see.
	[ "$TOE_DEVICE" != pci ] || return "$KTAP_SKIP"
	capture=$(mktemp)
	ends toe tcp 4 || return
	# By itself, for it to be what is killed.
	ip netns exec "$SERVER_NS" tcpdump -i "$LINK" -n -l --immediate-mode tcp >"$capture" 2>"$capture.log" &
	pid=$!
	until_true grep -q listening "$capture.log" && ./transfer -n 1M &&
		until_true many '> 10.77.0.1.*length [1-9]' "$capture" && until_true many '10.77.0.1.* > .*length [1-9]' "$capture"
	local status=$?
	kill "$pid"
	rm "$capture" "$capture.log"
	return "$status"
}

sysctl_bounds() {
	! sysctl -qw net.toe.enabled=2 && ! sysctl -qw net.toe.rmem=4095 && ! sysctl -qw net.toe.wmem=16777217 &&
		[ "$(sysctl -n net.toe.enabled net.toe.rmem net.toe.wmem | paste -sd ' ')" = '1 262144 262144' ]
}

run_status() {
	toe_run --strict sh -c 'exit 7'
	[ $? -eq 7 ] && fails 127 'nosuch' toe_run ./nosuch && [ -z "$(toe_run true 2>&1)" ]
}

# The protocol of a program's TCP socket, and of that of a program it starts.
run_protocol() {
	local program='import socket; print(socket.socket().getsockopt(1, 38))'
	[ "$(toe_run python3 -c "$program")" -eq 257 ] && [ "$(toe_run sh -c "python3 -c '$program'")" -eq 257 ] &&
		[ "$(TOE_RUN_DISABLE=1 toe_run python3 -c "$program")" -eq 6 ]
}

# on_topology FUNCTION: with the link and the module there
on_topology() {
	[ -d /sys/module/toe ] || insmod ../toe.ko || return
	sysctl -qw net.toe.enabled=1 net.toe.rmem=262144 net.toe.wmem=262144
	topo_up 1500 && "$@"
}

for name in dev_add_show_del dev_of_other_namespaces dev_errors dev_goes_with_its_netdev dev_many conn_offloaded \
	conn_fallback conn_disabled conn_buffers conn_shown_by_ss conn_captured sysctl_bounds run_status run_protocol; do
	ktap_test "$name" on_topology "$name"
done
ktap_suite netlink on_topology ./netlink

ktap_run "$@"
