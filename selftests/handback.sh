#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# handback.sh: devices are taken off in the middle of checked transfers, which
# the kernel's TCP completes.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh
. lib/transfers.sh

# The link is what limits a transfer here, and it must last until the devices are gone, on a busy machine, too.
unset TOE_TEST_DIVISOR
SLOW='rate 5mbit'

# take_off: every device there is
take_off() {
	local ns
	for ns in "$SERVER_NS:$TOE_TEST_SERVER" "$CLIENT_NS:$TOE_TEST_CLIENT"; do
		[ "${ns#*:}" = tcp ] && continue
		until_carried "${ns%:*}" && some_time 500 &&
			ip netns exec "${ns%:*}" toetool dev del "$LINK" --force || return
	done
}

# completes SERVER CLIENT...: as transfers_while, when every device is taken off
completes() {
	local devices=2 end
	for end in "$1" "$2"; do
		[ "$end" != tcp ] || devices=$((devices - 1))
	done
	transfers_while take_off "$@" && [ "$HANDED_BACK" -eq "$devices" ]
}

for mode in block level edge; do
	ktap_test "toe_tcp_$mode" completes toe tcp 4 "$SLOW" -n 8M -m "$mode"
	ktap_test "tcp_toe_$mode" completes tcp toe 4 "$SLOW" -n 8M -m "$mode"
done
ktap_test toe_toe completes toe toe 4 "$SLOW" -n 8M -m edge
ktap_test ipv6 completes toe tcp 6 "$SLOW" -n 8M -m level
ktap_test loss completes toe tcp 4 "$SLOW loss 1%" -n 8M -m block
ktap_test reorder completes tcp toe 4 "$SLOW delay 2ms reorder 10% 50%" -n 8M -m edge
ktap_test send_only completes toe tcp 4 "$SLOW" -n 0:8M -m block
ktap_test receive_only completes toe tcp 4 "$SLOW" -n 8M:0 -m edge
ktap_test small_writes completes toe tcp 4 'rate 1mbit' -n 2M -w 64 -m block
ktap_test slow_readers completes toe toe 4 "$SLOW" -n 8M -r 256 -m block
for buffer in 4K 64K 4M; do
	ktap_test "buffers_$buffer" completes toe tcp 4 "$SLOW" -n 8M -S "$buffer" -R "$buffer" -m level
done
ktap_test mss_88 completes toe tcp 4 "$SLOW" -n 4M -M 88 -m edge

# flap: every device is taken off and made again, until the transfer PID ends
flap() {
	local ns
	while [ -d "/proc/$1" ]; do
		for ns in "$SERVER_NS:$TOE_TEST_SERVER" "$CLIENT_NS:$TOE_TEST_CLIENT"; do
			[ "${ns#*:}" = tcp ] && continue
			some_time 500
			ip netns exec "${ns%:*}" toetool dev del "$LINK" --force || return
			some_time 500
			dev_add "${ns%:*}" "$LINK" || return
		done
	done
}

# returns SERVER CLIENT...: as transfers_while, when devices come and go
returns() {
	transfers_while flap "$@" && [ "$HANDED_BACK" -gt 1 ]
}

for mode in block level edge; do
	ktap_test "returns_toe_tcp_$mode" returns toe tcp 4 'rate 8mbit' -n 8M -S 64K -m "$mode"
	ktap_test "returns_tcp_toe_$mode" returns tcp toe 4 'rate 8mbit' -n 8M -S 64K -m "$mode"
done
ktap_test returns_toe_toe returns toe toe 6 'rate 8mbit' -n 8M -S 64K -m edge

ktap_run "$@"
status=$?
topo_down
exit "$status"
