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
	ktap_suite "transfer/$1-$2" ./transfer.sh "$1" "$2"
}

pair tcp tcp
if [ "$TOE_DEVICE" != none ]; then
	pair toe tcp
	pair tcp toe
	pair toe toe
fi

ktap_run "$@"
exit 0
