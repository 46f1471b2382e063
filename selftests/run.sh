#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run.sh [--part N/M] [PATTERN...]: runs the suites whose names match, or one of
# M parts of them, and prints one KTAP document. TOE_DEVICE names the kind of
# device under test: soft; pci, which needs two TOE NICs on a wire (scripts/vm
# --nic-pair); none to run only kernel TCP, as a check of the tests themselves.
# Exit code 0 says that the suites could be run, not that they passed.

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

[ "$(id -u)" -eq 0 ] || { echo "run.sh needs root" >&2; exit 1; }

part=1/1
if [ "$1" = --part ]; then
	part=$2
	shift 2
fi

# pair SERVER CLIENT BYTES: all suites for two stacks
pair() {
	ktap_suite "sockets/$1-$2" ./sockets.sh "$1" "$2" 4 offload
	ktap_suite "sockets/$1-$2-ipv6" ./sockets.sh "$1" "$2" 6 offload
	ktap_suite "connections/$1-$2" ./connections.sh "$1" "$2"
	ktap_suite "transfer/$1-$2" env TOE_TEST_BYTES="${TOE_TEST_BYTES:-$3}" ./transfer.sh "$1" "$2"
}

# The tests themselves, on the TCP that AF_TOE is judged against.
ktap_suite sockets/tcp-tcp ./sockets.sh tcp tcp 4 offload
ktap_suite connections/tcp-tcp ./connections.sh tcp tcp short_1000_ipv6 at_once_1000
ktap_suite transfer/tcp-tcp ./transfer.sh tcp tcp loss_1 mss_1460 buffers_4K
ktap_suite programs ./programs.sh

if [ "$TOE_DEVICE" != none ]; then
	pair toe tcp 64M
	# AF_TOE sent and received above already: fewer bytes will do.
	pair tcp toe 16M
	pair toe toe 16M
	ktap_suite sockets/toe_proto-tcp ./sockets.sh toe-proto tcp 4 offload
	ktap_suite sockets/tcp-toe_proto-ipv6 ./sockets.sh tcp toe-proto 6 offload
	ktap_suite sockets/toe-tcp-fallback ./sockets.sh toe tcp 4 fallback
	ktap_suite sockets/tcp-toe-fallback ./sockets.sh tcp toe 6 fallback
	ktap_suite tools ./tools.sh
	ktap_suite handback ./handback.sh
	ktap_suite beside ./beside.sh
	ktap_suite crowd ./crowd.sh toe toe 'at_once_*'
fi

# Netdevs that no NIC is needed for.
if [ "$TOE_DEVICE" = soft ]; then
	ktap_suite loopback/toe-toe ./loopback.sh toe toe
	ktap_suite loopback/toe-tcp ./loopback.sh toe tcp transfer
	ktap_suite loopback/tcp-toe ./loopback.sh tcp toe transfer
	ktap_suite devices ./devices.sh
fi

if [ "$TOE_DEVICE" = pci ]; then
	ktap_suite netdev ./netdev.sh
fi

ktap_part "$part"
ktap_run "$@"
exit 0
