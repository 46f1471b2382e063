#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# outside.sh COMMAND...: runs a command at the other end of the NIC's link, which
# is outside this virtual machine; its output, its errors and its exit status are
# passed on. It gets no input. One command runs at a time.
#
# outside.sh --serve: the other side, on standard input and output; with --port, in
# another virtual machine, on the port.
#
# Asked is by way of a virtio port, so that the link carries nothing but what is
# tested: one line of shell; answered by a line with the exit status and two
# lengths, and then output and errors.

. "$(dirname "$0")/virtio.sh"

PORT=outside

serve() {
	local line status dir
	dir=$(mktemp -d) || exit
	while read -r line; do
		(eval "$line") </dev/null >"$dir/out" 2>"$dir/err"
		status=$?
		echo "$status $(stat -c %s "$dir/out") $(stat -c %s "$dir/err")"
		cat "$dir/out" "$dir/err"
	done
}

# port: the virtio port that connects to the outside
port() {
	virtio_port "$PORT" && return
	echo "nobody is outside: scripts/vm needs --outside" >&2
	return 1
}

ask() {
	local device status out err
	device=$(port) || return
	exec 8>/run/lock.outside && flock 8 || return
	exec 9<>"$device" || return
	printf '%q ' "$@" >&9
	echo >&9
	read -r status out err <&9 || return
	head -c "$out" <&9
	head -c "$err" <&9 >&2
	return "$status"
}

if [ "${1-}" = --serve ]; then
	[ "${2-}" != --port ] || { device=$(port) && exec 0<>"$device" 1>&0; } || exit
	serve
else
	ask "$@"
fi
