#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run.sh [PATTERN...]: runs the suites whose names match and prints one KTAP
# document. TOE_DEVICE names the kind of device under test; with
# TOE_DEVICE=none only kernel TCP is run, as a check of the tests themselves.
# Exit code 0 says that the suites could be run, not that they passed.

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

[ "$(id -u)" -eq 0 ] || { echo "run.sh needs root" >&2; exit 1; }

# pair SERVER CLIENT: the suites for two stacks
pair() {
	ktap_suite "sockets/$1-$2" ./sockets.sh "$1" "$2" 4
	ktap_suite "sockets/$1-$2-ipv6" ./sockets.sh "$1" "$2" 6
	ktap_suite "transfer/$1-$2" ./transfer.sh "$1" "$2"
}

pair tcp tcp
if [ "$TOE_DEVICE" != none ]; then
	pair toe tcp
	pair tcp toe
	pair toe toe
	ktap_suite sockets/toe-proto-tcp ./sockets.sh toe-proto tcp 4
	ktap_suite sockets/tcp-toe-proto-ipv6 ./sockets.sh tcp toe-proto 6
	ktap_suite sockets/toe-tcp-fallback ./sockets.sh toe tcp 4 fallback
	ktap_suite sockets/tcp-toe-fallback ./sockets.sh tcp toe 4 fallback
fi

ktap_run "$@"
exit 0
