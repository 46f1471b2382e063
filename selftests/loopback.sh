#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# loopback.sh SERVER CLIENT: both ends on one machine, over lo.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

server=$1
client=$2
shift 2

# on_lo ADDRESS COMMAND...
on_lo() {
	local addr=$1
	shift
	topo_up 1500 && ends_on_lo "$server" "$client" "$addr" && "$@"
}

# Both ends of a connection may be counted by the one device.
offloaded_on_lo() {
	local addr=$1 count=$2
	shift 2
	[ "$server" = tcp ] || [ "$client" = tcp ] || count=$((2 * count))
	on_lo "$addr" "$@" || return
	[ "$server$client" = tcptcp ] || [ "$(offloaded_connections "$SERVER_NS")" -eq "$count" ]
}

ktap_test transfer offloaded_on_lo 127.0.0.1 1 ./transfer -n 32M -m edge
ktap_test transfer_ipv6 offloaded_on_lo ::1 1 ./transfer -n 16M -m block
ktap_test transfer_own_address offloaded_on_lo 10.77.0.1 1 ./transfer -n 16M -m level
ktap_test connections offloaded_on_lo 127.0.0.1 1000 ./connections -n 1000 -p 10
for program in sockets_connect sockets_io sockets_poll sockets_close; do
	ktap_suite "$program" on_lo 127.0.0.1 "./$program"
done

ktap_run "$@"
status=$?
topo_down
exit "$status"
