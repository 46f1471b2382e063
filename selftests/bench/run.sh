#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run.sh [WORKLOAD...]: AF_TOE and kernel TCP over the same link, in turn: a
# table, and bench-DEVICE.json in TOE_OUT. RUNS says how often each is repeated.
#
# With TOE_DEVICE=soft both ends of a connection are in this machine, use the
# stack that is measured and are counted. With TOE_DEVICE=pci the other end is
# outside, by kernel TCP, and isn't counted; kernel TCP here uses the NIC's netdev.

set -o pipefail
cd "$(dirname "$0")/.." || exit 1
. lib/topology.sh
. lib/programs.sh

: "${TOE_OUT:=/out}"
: "${RUNS:=3}"
PORT=7000
trap 'programs_cleanup; topo_down' EXIT

raw=$PROGRAMS_DIR/raw

# prepare server|client STACK: a link; sets for each end the stack, and what
# makes programs use it. With a NIC this machine is that end.
prepare() {
	server_stack=$2 client_stack=$2
	if [ "$TOE_DEVICE" = pci ]; then
		topo_nic "$1" || return
		[ "$SERVER_NS" = "$OUTSIDE" ] && server_stack=tcp
		[ "$CLIENT_NS" = "$OUTSIDE" ] && client_stack=tcp
	else
		topo_up 1500 && ends "$2" "$2" 4 || return
	fi
	server_wrapper=() client_wrapper=()
	[ "$server_stack" = tcp ] || server_wrapper=(toe_run)
	[ "$client_stack" = tcp ] || client_wrapper=(toe_run)
}

# record ORDER WORKLOAD CONNECTIONS STACK <OBJECT: add one measurement
record() {
	jq -c --argjson order "$1" --arg workload "$2" --argjson connections "$3" --arg stack "$4" \
		'. + { order: $order, workload: $workload, connections: $connections, stack: $stack,
			instructions: (.kernel_instructions + .user_instructions) }' >>"$raw"
}

# serving PROGRAM ARGUMENT...: until server_stop
serving() {
	server_run env TOE_TEST_SERVER="$server_stack" TOE_TEST_SERVER_ADDR="$SERVER_IP" "$PWD/bench/$1" -s -p "$PORT" "${@:2}"
	server_wait in_server bash -c "ss -Hltn 'sport = :$PORT' | grep -q ."
}

# asking PROGRAM ARGUMENT...
asking() {
	in_client env TOE_TEST_CLIENT="$client_stack" TOE_TEST_SERVER_ADDR="$SERVER_IP" "$PWD/bench/$1" "${@:2}"
}

rpc() {
	local stack=$1 connections=$2 operations=$3 order=$4
	prepare client "$stack" && serving rpc -c "$connections" &&
		asking rpc -p "$PORT" -c "$connections" -n "$operations" | record "$order" "64 B echo" "$connections" "$stack"
}

# stream STACK ORDER MIB NAME [-r]
stream() {
	local stack=$1 order=$2 mib=$3 name=$4
	shift 4
	prepare client "$stack" && serving stream -n "$mib" "$@" &&
		asking stream -p "$PORT" -n "$mib" "$@" | record "$order" "$name" 1 "$stack"
}

# difference FEW MANY COMMAND...: runs it at the client, which ends with a number
# of operations; prints what the many take more than the few, as JSON: what a
# client takes to start is in both.
difference() {
	local few=$1 many=$2 at=(ip netns exec "$CLIENT_NS") n
	shift 2
	[ "$CLIENT_NS" != "$OUTSIDE" ] || at=(lib/outside.sh)
	for n in "$few" "$many"; do
		./bench/measured "${at[@]}" "$@" "$n" >"$PROGRAMS_DIR/client.out" 2>"$PROGRAMS_DIR/client.err" || return
		tail -n 1 "$PROGRAMS_DIR/client.err" >"$PROGRAMS_DIR/client.$n"
	done
	jq -n --slurpfile few "$PROGRAMS_DIR/client.$few" --slurpfile many "$PROGRAMS_DIR/client.$many" \
		'{ kernel_instructions: ($many[0].kernel_instructions - $few[0].kernel_instructions),
			user_instructions: ($many[0].user_instructions - $few[0].user_instructions) }'
}

memcached_get() {
	local stack=$1 connections=$2 order=$3
	prepare server "$stack" || return
	memcached_start "${server_wrapper[@]}"
	memcached_wait "${client_wrapper[@]}" &&
		if [ "$CLIENT_NS" = "$OUTSIDE" ]; then memcached_outside; else asking rpc -m 11211 -c "$connections" -n 20000; fi |
		record "$order" "memcached GET" "$connections" "$stack"
}

memcached_outside() {
	local few=2000 many=22000 instructions
	instructions=$(difference "$few" "$many" env TOE_TEST_SERVER_ADDR="$SERVER_IP" \
		"$PWD/bench/rpc" -m 11211 -c "$connections" -w "$few" -n) &&
		jq --argjson instructions "$instructions" --argjson operations $((many - few)) \
			'.seconds *= $operations / .operations | . + $instructions + { operations: $operations }' \
			"$PROGRAMS_DIR/client.out"
}

# Time and latency are the client's own.
redis() {
	local stack=$1 test=$2 few=2000 many=22000 instructions
	prepare server "$stack" || return
	redis_start "${server_wrapper[@]}"
	redis_wait "${client_wrapper[@]}" &&
		instructions=$(difference "$few" "$many" "${client_wrapper[@]}" redis-benchmark -h "$SERVER_IP" \
			-c 50 -t "$test" -n) &&
		redis_own <"$PROGRAMS_DIR/client.out" | jq --argjson instructions "$instructions" \
			--argjson operations $((many - few)) \
			'. + $instructions + { operations: $operations, seconds: ($operations / .rate) }' |
		record "$3" "redis ${test^^}" 50 "$stack"
}

# What redis-benchmark prints, as JSON: rate and percentiles.
redis_own() {
	tr '\r' '\n' | awk '
		/requests per second/ { for (i = 2; i <= NF; i++) if ($i == "requests") rate = $(i - 1) }
		/^[0-9.]+% <= / {
			p = $1 + 0
			if (p >= 50 && !p50) p50 = $3 * 1000
			if (p >= 99 && !p99) p99 = $3 * 1000
			if (p >= 99.99 && !p9999) p9999 = $3 * 1000
		}
		END { printf "{\"rate\":%s,\"p50_us\":%s,\"p99_us\":%s,\"p9999_us\":%s}\n", rate, p50, p99, p9999 }'
}

# measure WORKLOAD STACK
measure() {
	case $1 in
	rpc_1) rpc "$2" 1 20000 1 ;;
	rpc_64) rpc "$2" 64 40000 2 ;;
	redis_set) redis "$2" set 3 ;;
	redis_get) redis "$2" get 4 ;;
	memcached) memcached_get "$2" 16 5 ;;
	stream) stream "$2" 6 1024 "1 GiB stream (MiB)" ;;
	send) stream "$2" 7 512 "512 MiB sent (MiB)" ;;
	receive) stream "$2" 8 512 "512 MiB received (MiB)" -r ;;
	*) echo "no workload is called $1" >&2; exit 2 ;;
	esac
}

workloads=("$@")
if [ $# -eq 0 ]; then
	workloads=(rpc_1 rpc_64 redis_set redis_get memcached stream)
	[ "$TOE_DEVICE" != pci ] || workloads=(rpc_1 rpc_64 redis_get memcached send receive)
fi

stacks=(tcp)
device=null
if [ "$TOE_DEVICE" != none ]; then
	stacks=(tcp toe)
	prepare server toe || exit
	device=$(in_server toetool dev show --json | jq -c '.[0]')
fi

: >"$raw"
for ((run = 1; run <= RUNS; run++)); do
	for workload in "${workloads[@]}"; do
		for stack in "${stacks[@]}"; do
			echo "run $run of $RUNS: $workload over $stack" >&2
			measure "$workload" "$stack" || { echo "$workload over $stack failed" >&2; exit 1; }
			server_stop
		done
	done
done

mkdir -p "$TOE_OUT"
jq -s --arg kernel "$(uname -r)" --argjson device "$device" --argjson cpus "$(nproc)" -f bench/summary.jq "$raw" \
	>"$TOE_OUT/bench-$TOE_DEVICE.json" || exit
printf '%-24s%12s%12s%9s%16s\n' "$(uname -r), $TOE_DEVICE" 'kernel TCP' AF_TOE ratio 'spread tcp/toe'
jq -r -f bench/table.jq "$TOE_OUT/bench-$TOE_DEVICE.json"
