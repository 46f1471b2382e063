#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Real programs over an offloaded connection: a table, and demo.json in TOE_OUT.

cd "$(dirname "$0")/.." || exit 1
. lib/topology.sh
. lib/programs.sh

: "${TOE_OUT:=/out}"
trap 'programs_cleanup; topo_down' EXIT

rows=()
failed=0

# show NAME ROLE: one row of the table, from what serve() counted
show() {
	local verdict=ok
	if [ "$errors" -ne 0 ] || [ "$connections" -eq 0 ] || [ "$offloaded" -ne "$connections" ] ||
		[ "$datapath_bytes" -ne "$bytes" ]; then
		verdict=WRONG
		failed=1
	fi
	rows+=("$(jq -n --arg name "$1" --arg role "$2" \
		--argjson requests "$requests" --argjson errors "$errors" \
		--argjson connections "$connections" --argjson offloaded "$offloaded" \
		--argjson bytes_served "$bytes" --argjson bytes_datapath "$datapath_bytes" \
		--argjson kernel_tcp_segments "$segments" '$ARGS.named')")
	printf '%-16s %-7s %9d %7d %12d %10d %13d %15d %12d  %s\n' "$1" "$2" "$requests" "$errors" \
		"$connections" "$offloaded" "$bytes" "$datapath_bytes" "$segments" "$verdict"
}

topo_up 1500 && dev_add "$SERVER_NS" "$LINK" && dev_add "$CLIENT_NS" "$LINK" || exit
device=$(in_server toetool dev show --json | jq '.[0]')

printf '%-16s %-7s %9s %7s %12s %10s %13s %15s %12s\n' program 'as' requests errors connections \
	offloaded 'bytes served' 'data-path bytes' 'kernel segs'
for program in redis memcached nginx; do
	serve "$program" "$SERVER_NS" toe_run '' || failed=1
	show "${SERVER_OF[$program]}" server
done
for program in redis memcached nginx; do
	serve "$program" "$CLIENT_NS" '' toe_run || failed=1
	show "${CLIENT_OF[$program]}" client
done

mkdir -p "$TOE_OUT"
printf '%s\n' "${rows[@]}" | jq -s --arg kernel "$(uname -r)" --argjson device "$device" \
	'{ kernel: $kernel, device: $device.kind, datapath: $device.datapath, programs: . }' \
	>"$TOE_OUT/demo.json"
exit "$failed"
