#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Real programs over an offloaded connection: a table, and demo.json in TOE_OUT.
# Each row is one end of the connections. With TOE_DEVICE=pci that is this
# virtual machine, and the other end is outside, by kernel TCP; or by AF_TOE with
# TOE_OUTSIDE=toe_run, and then the clients' rows are what is counted there.

cd "$(dirname "$0")/.." || exit 1
. lib/topology.sh
. lib/programs.sh

: "${TOE_OUT:=/out}"
: "${TOE_OUTSIDE:=}"
trap 'programs_cleanup; topo_down' EXIT

rows=()
failed=0

# Segments of a connection that the kernel's own TCP may see: three of the
# handshake, what a hasty peer sent before the hand-over and its ACK, and what
# that peer retransmitted meanwhile.
SEGMENTS=8

# show NAME ROLE: one row of the table, from what serve() counted
show() {
	local verdict=ok
	if [ "$errors" -ne 0 ] || [ "$connections" -eq 0 ] || [ "$offloaded" -ne "$connections" ] ||
		[ "$datapath_bytes" -ne "$bytes" ] || [ "$segments" -gt $((connections * SEGMENTS)) ]; then
		verdict=WRONG
		failed=1
	fi
	rows+=("$(jq -n --arg name "$1" --arg role "$2" \
		--argjson requests "$requests" --argjson errors "$errors" \
		--argjson connections "$connections" --argjson offloaded "$offloaded" \
		--argjson bytes_served "$bytes" --argjson bytes_datapath "$datapath_bytes" \
		--argjson kernel_tcp_segments "$segments" '$ARGS.named')")
	printf '%-16s %-7s %9d %7d %12d %10d %13d %15d %12d %9.1f  %s\n' "$1" "$2" "$requests" "$errors" \
		"$connections" "$offloaded" "$bytes" "$datapath_bytes" "$segments" \
		"$((segments * 10 / (connections ? connections : 1)))e-1" "$verdict"
}

# link server|client: what is joined where that end is looked at
link() {
	if [ "$TOE_DEVICE" = pci ]; then
		# With AF_TOE at both ends, both are looked at in one place.
		[ "${TOE_OUTSIDE:+$1}" = client ] || topo_nic "$1"
	elif [ "$1" = server ]; then
		topo_up 1500 && dev_add "$SERVER_NS" "$LINK" && dev_add "$CLIENT_NS" "$LINK"
	fi
}

link server || exit
device=$(in_server toetool dev show --json | jq '.[0]')

printf '%-16s %-7s %9s %7s %12s %10s %13s %15s %12s %9s\n' program 'as' requests errors connections \
	offloaded 'bytes served' 'data-path bytes' 'kernel segs' 'per conn.'
for program in redis memcached nginx; do
	serve "$program" "$SERVER_NS" toe_run "$TOE_OUTSIDE" || failed=1
	show "${SERVER_OF[$program]}" server
done
link client || exit
for program in redis memcached nginx; do
	serve "$program" "$CLIENT_NS" "$TOE_OUTSIDE" toe_run || failed=1
	show "${CLIENT_OF[$program]}" client
done

mkdir -p "$TOE_OUT"
printf '%s\n' "${rows[@]}" | jq -s --arg kernel "$(uname -r)" --argjson device "$device" \
	'{ kernel: $kernel, device: $device.kind, datapath: $device.datapath, programs: . }' \
	>"$TOE_OUT/demo${TOE_OUTSIDE:+-wire}.json"
exit "$failed"
