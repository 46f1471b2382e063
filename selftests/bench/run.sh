#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run.sh [WORKLOAD...]: AF_TOE and kernel TCP over the same link, in turn: a
# table, and bench.json in TOE_OUT. Both ends of a connection use the stack that
# is measured. RUNS says how often each is repeated.

# shellcheck disable=SC2086	# a wrapper is a word or nothing

cd "$(dirname "$0")/.." || exit 1
. lib/topology.sh
. lib/programs.sh

: "${TOE_OUT:=/out}"
: "${RUNS:=3}"
trap 'programs_cleanup; topo_down' EXIT

raw=$PROGRAMS_DIR/raw

# prepare STACK: a fresh link; sets wrapper to what makes programs use the stack
prepare() {
	wrapper=
	topo_up 1500 && ends "$1" "$1" 4 || return
	[ "$1" = tcp ] || wrapper=toe_run
}

# record ORDER WORKLOAD CONNECTIONS STACK <OBJECT: add one measurement
record() {
	jq -c --argjson order "$1" --arg workload "$2" --argjson connections "$3" --arg stack "$4" \
		'. + { order: $order, workload: $workload, connections: $connections, stack: $stack,
			instructions: (.kernel_instructions + .user_instructions) }' >>"$raw"
}

rpc() {
	prepare "$1" && ./bench/rpc -n "$3" -c "$2" | record "$4" "64 B echo" "$2" "$1"
}

stream() {
	prepare "$1" && ./bench/stream -n 1024 | record 6 "1 GiB stream (MiB)" 1 "$1"
}

memcached_get() {
	prepare "$1" || return
	memcached_start $wrapper
	memcached_wait $wrapper && ./bench/rpc -n 20000 -c "$2" -m 11211 | record 5 "memcached GET" "$2" "$1"
	server_stop
}

# redis_measured OPERATIONS TEST: instructions and time go to a file
redis_measured() {
	in_client ./bench/measured $wrapper redis-benchmark -h "$SERVER_IP" -n "$1" -c 50 -t "$2" \
		>"$PROGRAMS_DIR/redis.out" 2>"$PROGRAMS_DIR/redis.err" &&
		tail -n 1 "$PROGRAMS_DIR/redis.err" >"$PROGRAMS_DIR/redis.$1"
}

# Instructions are those of the longer of two runs less those of the shorter:
# what a client takes to start is in both. Time and latency are the client's own.
redis() {
	local stack=$1 test=$2 few=2000 many=22000
	prepare "$stack" || return
	redis_start $wrapper
	redis_wait $wrapper && redis_measured "$few" "$test" && redis_measured "$many" "$test" &&
		jq -n --slurpfile few "$PROGRAMS_DIR/redis.$few" --slurpfile many "$PROGRAMS_DIR/redis.$many" \
			--argjson operations "$((many - few))" --argjson all "$many" \
			--argjson own "$(redis_own <"$PROGRAMS_DIR/redis.out")" \
			'$own + { operations: $operations, seconds: ($operations / $own.rate),
				kernel_instructions: ($many[0].kernel_instructions - $few[0].kernel_instructions),
				user_instructions: ($many[0].user_instructions - $few[0].user_instructions) }' |
		record "$3" "redis ${test^^}" 50 "$stack"
	server_stop
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

workloads=("$@")
[ $# -gt 0 ] || workloads=(rpc_1 rpc_64 redis_set redis_get memcached stream)

stacks=(tcp)
device=null
if [ "$TOE_DEVICE" != none ]; then
	stacks=(tcp toe)
	prepare toe || exit
	device=$(in_server toetool dev show --json | jq -c '.[0]')
fi

: >"$raw"
for ((run = 1; run <= RUNS; run++)); do
	for workload in "${workloads[@]}"; do
		for stack in "${stacks[@]}"; do
			echo "run $run of $RUNS: $workload over $stack" >&2
			case $workload in
			rpc_1) rpc "$stack" 1 20000 1 ;;
			rpc_64) rpc "$stack" 64 40000 2 ;;
			redis_set) redis "$stack" set 3 ;;
			redis_get) redis "$stack" get 4 ;;
			memcached) memcached_get "$stack" 16 ;;
			stream) stream "$stack" ;;
			*) echo "no workload is called $workload" >&2; exit 2 ;;
			esac || { echo "$workload over $stack failed" >&2; exit 1; }
		done
	done
done

mkdir -p "$TOE_OUT"
jq -s --arg kernel "$(uname -r)" --argjson device "$device" -f bench/summary.jq "$raw" \
	>"$TOE_OUT/bench.json" || exit
printf '%-24s%12s%12s%9s%16s\n' "$(uname -r)" 'kernel TCP' AF_TOE ratio 'spread tcp/toe'
jq -r -f bench/table.jq "$TOE_OUT/bench.json"
