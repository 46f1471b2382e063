#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sockets.sh SERVER CLIENT 4|6 offload|fallback [PATTERN...]: the sockets API on
# a connection between two stacks. With fallback no device is attached, so that
# AF_TOE's sockets stay on kernel TCP.

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

server=$1
client=$2
version=$3
path=$4
shift 4

topo_up 1500 || exit
if [ "$path" = fallback ]; then
	ends_without_device "$server" "$client" "$version"
else
	ends "$server" "$client" "$version" || exit
fi

for program in sockets_connect sockets_io sockets_poll sockets_close \
	sockets_options sockets_sharing sockets_splice sockets_hostile sockets_link \
	sockets_fallback; do
	ktap_suite "$program" "./$program"
done

ktap_run "$@"
status=$?
topo_down
exit "$status"
