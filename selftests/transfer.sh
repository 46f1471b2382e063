#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# transfer.sh SERVER CLIENT: checked transfers between two stacks (tcp, toe,
# toe-proto), both ways at once, over every kind of bad link, segment size and
# buffer size.

# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

server=$1
client=$2
shift 2
: "${TOE_TEST_BYTES:=64M}"

# impaired IP NETEM-ARGUMENTS... -- TRANSFER-ARGUMENTS...
impaired() {
	local ip=$1 netem=()
	shift
	while [ "$1" != -- ]; do
		netem+=("$1")
		shift
	done
	shift
	topo_up && topo_segment && ends "$server" "$client" "$ip" &&
		topo_netem "${netem[@]}" && all_offloaded 1 ./transfer -n "$TOE_TEST_BYTES" "$@"
}

# plain IP MTU TRANSFER-ARGUMENTS...
plain() {
	local ip=$1 mtu=$2
	shift 2
	topo_up "$mtu" && ends "$server" "$client" "$ip" &&
		all_offloaded 1 ./transfer "$@"
}

# single IP MTU TRANSFER-ARGUMENTS...: no segmentation offload
single() {
	local ip=$1 mtu=$2
	shift 2
	topo_up "$mtu" && topo_segment && ends "$server" "$client" "$ip" &&
		all_offloaded 1 ./transfer "$@"
}

ktap_test loss_0 impaired 4 delay 100us -- -m edge
ktap_test loss_0.1 impaired 4 loss 0.1% -- -m level
ktap_test loss_1 impaired 4 loss 1% -- -m block
ktap_test loss_1_ipv6 impaired 6 loss 1% -- -m edge -n 16M
ktap_test loss_5 impaired 4 loss 5% -- -m edge
ktap_test reorder impaired 4 delay 1ms reorder 10% 50% -- -m edge
ktap_test duplicate impaired 4 duplicate 5% -- -m level
ktap_test corrupt impaired 4 corrupt 1% -- -m block

ktap_test mss_88 plain 4 1500 -n 16M -M 88 -m edge
ktap_test mss_88_ipv6 plain 6 1500 -n 4M -M 88 -m block
ktap_test mss_88_single_segments single 4 1500 -n 2M -M 88 -m level
ktap_test mss_1460 plain 4 1500 -n 64M -m level
ktap_test mss_8960 plain 4 9000 -n 64M -m edge
ktap_test mss_8940_ipv6 plain 6 9000 -n 64M -m edge

for buffer in 4K 16K 64K 256K 1M 4M; do
	ktap_test "buffers_$buffer" plain 4 1500 -n 8M -S "$buffer" -R "$buffer" -m edge
done
ktap_test buffers_small_to_large plain 4 1500 -n 8M -S 4K -R 4M -m block
ktap_test buffers_large_to_small plain 4 1500 -n 8M -S 4M -R 4K -m level

ktap_test odd_sizes plain 4 1500 -n 8M -w 3000 -r 1777 -m edge
ktap_test small_writes plain 4 1500 -n 1M -w 64 -r 65536 -m block
ktap_test small_reads plain 4 1500 -n 1M -w 65536 -r 64 -m level
ktap_test half_close_client_first plain 4 1500 -n 0:32M -m edge
ktap_test half_close_server_first plain 4 1500 -n 32M:0 -m block
ktap_test nothing plain 6 1500 -n 0 -m edge

ktap_run "$@"
status=$?
topo_down
exit "$status"
