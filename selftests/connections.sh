#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# connections.sh SERVER CLIENT: many connections, one after another and at once.
# TOE_TEST_DIVISOR makes do with fewer of the 10,000, on a slow kernel.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

server=$1
client=$2
shift 2

# many IP COUNT CONNECTIONS-ARGUMENTS...
many() {
	local ip=$1 count=$2
	shift 2
	topo_up 1500 && ends "$server" "$client" "$ip" &&
		all_offloaded "$count" ./connections -n "$count" "$@"
}

# impaired IP COUNT CONNECTIONS-ARGUMENTS...
impaired() {
	local ip=$1 count=$2
	shift 2
	topo_up 1500 && ends "$server" "$client" "$ip" && topo_netem loss 2% &&
		all_offloaded "$count" ./connections -n "$count" "$@"
}

ktap_test short_10000 many 4 "$((10000 / ${TOE_TEST_DIVISOR:-1}))"
ktap_test short_1000_ipv6 many 6 1000
ktap_test at_once_1000 many 4 1000 -p 1000 -b 2000
ktap_test at_once_1000_ipv6 many 6 1000 -p 1000 -b 100
ktap_test overlapping many 4 4000 -p 50
ktap_test lossy_link impaired 4 500 -p 100 -b 3000

ktap_run "$@"
status=$?
topo_down
exit "$status"
