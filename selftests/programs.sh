#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Unmodified programs under toe_run: what they serve is right, offloaded when a
# device is there and listed with a reason when none is.
# shellcheck disable=SC2154,SC2317	# serve() sets; ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh
REQUESTS=1024
. lib/programs.sh
trap 'programs_cleanup; topo_down' EXIT

check() {
	echo "requests $requests, errors $errors, connections $connections, offloaded $offloaded," \
		"fallbacks $fallbacks, bytes $bytes, by the data-path $datapath_bytes"
	[ "$requests" -ge "$REQUESTS" ] && [ "$errors" -eq 0 ]
}

control() {
	topo_up 1500 && serve "$1" "$SERVER_NS" '' '' && check
}

offloaded_server() {
	topo_up 1500 && dev_add "$SERVER_NS" "$LINK" && serve "$1" "$SERVER_NS" toe_run '' &&
		check && [ "$offloaded" -eq "$connections" ] && [ "$bytes" -eq "$datapath_bytes" ]
}

offloaded_client() {
	topo_up 1500 && dev_add "$CLIENT_NS" "$LINK" && serve "$1" "$CLIENT_NS" '' toe_run &&
		check && [ "$offloaded" -eq "$connections" ] && [ "$bytes" -eq "$datapath_bytes" ]
}

offloaded_both() {
	topo_up 1500 && dev_add "$SERVER_NS" "$LINK" && dev_add "$CLIENT_NS" "$LINK" &&
		serve "$1" "$SERVER_NS" toe_run toe_run && check && [ "$offloaded" -eq "$connections" ]
}

fallback() {
	topo_up 1500 && serve "$1" "$SERVER_NS" toe_run toe_run && check &&
		[ "$offloaded" -eq 0 ] && [ "$fallbacks" -ge "$connections" ]
}

# A live connection is listed, with its device or with the reason why it has none.
listed() {
	local path=$1 filter=$2 status
	topo_up 1500 || return
	[ "$path" = fallback ] || dev_add "$SERVER_NS" "$LINK" || return
	redis_start toe_run
	server_wait in_client redis-cli -h "$SERVER_IP" ping || return
	ip netns exec "$CLIENT_NS" bash -c "exec 3<>/dev/tcp/$SERVER_IP/6379
		for i in 1 2; do printf 'PING\r\n' >&3; read -r <&3; done
		exec sleep 300" &
	server_wait conn_matches "$path" "$filter"
	status=$?
	in_server toetool conn --json
	kill "$!"
	server_stop
	return "$status"
}

conn_matches() {
	in_server toetool conn --json |
		jq -e "any(.[]; .local_port == 6379 and .path == \"$1\" and ($2))"
}

for program in redis memcached nginx; do
	ktap_test "${program}__control" control "$program"
	[ "$TOE_DEVICE" = none ] && continue
	ktap_test "${program}__server" offloaded_server "$program"
	ktap_test "${program}__client" offloaded_client "$program"
	ktap_test "${program}__both" offloaded_both "$program"
	ktap_test "${program}__fallback" fallback "$program"
done
if [ "$TOE_DEVICE" != none ]; then
	ktap_test conn__offloaded listed offloaded '.state == "established" and .ifname == "toe0" and .rx_bytes > 0'
	ktap_test conn__fallback listed fallback '.fallback_reason != null'
fi

ktap_run "$@"
