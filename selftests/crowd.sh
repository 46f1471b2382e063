#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# crowd.sh SERVER CLIENT [PATTERN...]: many connections at once (TOE_TEST_CROWD of
# them), and more than the device can carry or be told at once. The latter takes a
# small one: scripts/vm --nic-options '--connections=300 --entries=64'.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

server=$1
client=$2
shift 2
many=${TOE_TEST_CROWD:-10000}

# offloading: the namespaces of the ends that have a device
offloading() {
	[ "$server" = tcp ] || echo "$SERVER_NS"
	[ "$client" = tcp ] || echo "$CLIENT_NS"
}

# of_device FIELD NAMESPACE
of_device() {
	at "$2" toetool dev show "$LINK" --json | jq ".[0].$1"
}

# carries NAMESPACE COUNT: whether the device does
carries() {
	[ "$(of_device connections "$1")" -eq "$2" ]
}

# carry COUNT: whether all devices do, perhaps in a while: what was closed is theirs for a little longer
carry() {
	local ns
	for ns in $(offloading); do
		until_true carries "$ns" "$1" && continue
		echo "$ns: the device carries $(of_device connections "$ns") connections"
		return 1
	done
}

# begin: the program that has the connections
begin() {
	local pipes
	pipes=$(mktemp -d) && mkfifo "$pipes/in" "$pipes/out" || return
	./crowd <"$pipes/in" >"$pipes/out" &
	crowd=$!
	trap 'kill "$crowd" 2>/dev/null' EXIT
	exec 7>"$pipes/in" 8<"$pipes/out"
	rm -r "$pipes"
}

# crowd COMMAND NUMBER: has it do that
crowd() {
	local answer
	echo "$*" >&7
	read -r answer <&8 && [ "$answer" = ok ] && return
	echo "crowd $*: ${answer:-no answer}"
	return 1
}

# finish: closes what is left, and waits until nothing is left of it
finish() {
	exec 7>&-
	wait "$crowd" && carry 0
}

# memory: kilobytes that are in use
memory() {
	awk '/^MemTotal:/ { total = $2 } /^MemAvailable:/ { print total - $2 }' /proc/meminfo
}

# is_back BEFORE WITH: whether all of it but a tenth is
is_back() {
	[ $((10 * ($(memory) - $1))) -lt $(($2 - $1)) ]
}

# moved BYTES COMMAND...: whether the command has so many go through the devices, in each direction of each
moved() {
	local bytes=$1 ns got
	local -A before
	shift
	for ns in $(offloading); do
		before[$ns]=$(datapath_bytes "$ns")
	done
	"$@" || return
	for ns in $(offloading); do
		got=$(($(datapath_bytes "$ns") - before[$ns]))
		[ "$got" -eq $((2 * bytes)) ] && continue
		echo "$ns: $got bytes moved, not $((2 * bytes))"
		return 1
	done
}

all_at_once() {
	crowd open "$many" && crowd echo 1000 && carry "$many"
}

at_once() {
	local before with
	topo_up 1500 && ends "$server" "$client" "$1" || return
	before=$(memory)
	begin && all_offloaded "$many" moved $((1000 * many)) all_at_once && with=$(memory) &&
		echo "$many connections, $(((with - before) / many)) kB each" &&
		moved $((2000 * many)) crowd echo 2000 && carry "$many" &&
		crowd close "$many" && finish || return
	# Of fewer, what the kernel keeps for the next ones is too much.
	[ "$many" -ge 10000 ] || return 0
	until_true is_back "$before" "$with" && return
	echo "in use are $(memory) kB"
	return 1
}

# fallbacks: for want of room, in all namespaces
fallbacks() {
	counters "$SERVER_NS" fallback table-full
}

# fell_back COUNT BEFORE: whether so many did at each end that has a device, since there were BEFORE
fell_back() {
	local ns count=0
	for ns in $(offloading); do
		count=$((count + $1))
		at "$ns" toetool conn --path fallback --json |
			jq -e "length == $1 and all(.[]; .fallback_reason == \"table-full\")" >/dev/null && continue
		echo "$ns: not $1 connections fell back"
		at "$ns" toetool conn --path fallback | head
		return 1
	done
	[ "$(fallbacks)" -eq $(($2 + count)) ] && return
	echo "$(($(fallbacks) - $2)) connections fell back, not $count"
	return 1
}

full() {
	local ns room more before
	topo_up 1500 && ends "$server" "$client" "$1" || return
	for ns in $(offloading); do
		room=$(of_device max_connections "$ns")
	done
	[ "$room" -le 1000 ] || { echo "$room are too many to be had quickly"; return 1; }
	more=$((room / 2))
	before=$(fallbacks)
	begin && crowd open $((room + more)) && crowd echo 1000 && carry "$room" && fell_back "$more" "$before" &&
		crowd close "$more" && carry $((room - more)) && crowd open "$more" &&
		crowd echo 2000 && carry "$room" && fell_back "$more" "$before" &&
		crowd close $((room + more)) && finish
}

# crowded: whether each device was told more at once than its rings have room for
crowded() {
	local ns
	for ns in $(offloading); do
		[ "$(counters "$ns" event waited-commands)" -gt 0 ] || return
	done
}

# Nothing is lost of what the devices are told of all connections at once.
rings_full() {
	local round count
	topo_up 1500 && ends "$server" "$client" 4 || return
	count=$(of_device max_connections "$CLIENT_NS")
	[ "$count" -le 1000 ] || { echo "$count are too many to be had quickly"; return 1; }
	begin && all_offloaded "$count" crowd open "$count" || return
	for round in {1..20}; do
		moved $((1000 * count)) crowd echo 1000 || return
		crowded && crowd close "$count" && finish && return
	done
	echo "in $round rounds there was always room: the device is too fast"
	return 4
}

ktap_test "at_once_$many" at_once 4
ktap_test table_full full 4
ktap_test table_full_ipv6 full 6
ktap_test rings_full rings_full

ktap_run "$@"
status=$?
topo_down
exit "$status"
