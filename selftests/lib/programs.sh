# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Unmodified programs on the link of topology.sh, each as a server in one
# namespace and with a client in the other. What is counted, is counted by the
# program that runs over kernel TCP or by the server itself, never by the
# data-path.
#
# For every server P: P_start [WRAPPER...] starts it, P_load [WRAPPER...] has a
# client do its work, P_count [WRAPPER...] then sets requests, errors,
# connections and bytes (payload, both ways, since the start). WRAPPER is
# toe_run or nothing.
# shellcheck disable=SC2034	# what is set here is read by the scripts that use it

: "${REQUESTS:=2048}"		# of each kind; a multiple of 64
PROGRAMS_DIR=$(mktemp -d)	# at both ends
SERVER_IP=$(server_addr 4)
server_pid=

programs_cleanup() {
	server_stop
	rm -rf "$PROGRAMS_DIR"
}

server_stop() {
	[ -n "$server_pid" ] || return 0
	# shellcheck disable=SC2016	# expanded at the server. A process that nobody reaps has no file any more.
	in_server bash -c 'kill "$1" && while [ -e "/proc/$1/exe" ]; do sleep 0.1; done' bash "$server_pid" 2>/dev/null
	server_pid=
}

# server_run COMMAND...: in the background; its output goes to a file
server_run() {
	# shellcheck disable=SC2016
	server_pid=$(in_server bash -c 'mkdir -p "$1" && exec >"$1/server.log" 2>&1 "${@:2}" & echo $!' bash "$PROGRAMS_DIR" "$@")
}

# server_wait COMMAND...: until the command succeeds
server_wait() {
	local try
	for ((try = 0; try < 100; try++)); do
		"$@" >/dev/null 2>&1 && return
		in_server kill -0 "$server_pid" 2>/dev/null || break
		sleep 0.1
	done
	echo "the server does not answer:" >&2
	in_server tail -5 "$PROGRAMS_DIR/server.log" >&2
	return 1
}

# ask PORT TEXT [WRAPPER...]: send a text, print the reply until the server closes
ask() {
	local port=$1 text=$2
	shift 2
	# shellcheck disable=SC2016
	in_client bash -c 'printf "%b" "$1" | "${@:2}"' bash "$text" "$@" nc -w 10 "$SERVER_IP" "$port"
}

# field FILE NAME: the number after a name in redis' or memcached's statistics
field() {
	tr -d '\r' <"$1" | awk -F '[ :]' -v name="$2" '$1 == name { print $2 } $2 == name { print $3 }'
}

redis_start() {
	server_run "$@" redis-server --bind "$SERVER_IP" --port 6379 --save '' \
		--appendonly no --protected-mode no --dir "$PROGRAMS_DIR"
}

redis_wait() {
	server_wait in_client "$@" redis-cli -h "$SERVER_IP" ping
}

redis_load() {
	in_client "$@" redis-benchmark -h "$SERVER_IP" -n "$REQUESTS" -c 20 -t set,get -d 200 \
		--csv >"$PROGRAMS_DIR/load.log" 2>&1
}

redis_count() {
	local reply=$PROGRAMS_DIR/redis.stats
	ask 6379 'INFO\r\nQUIT\r\n' "$@" >"$reply"
	requests=$(field "$reply" total_commands_processed)
	errors=$(field "$reply" total_error_replies)
	connections=$(field "$reply" total_connections_received)
	bytes=$(($(field "$reply" total_net_input_bytes) +
		$(field "$reply" total_net_output_bytes) + $(wc -c <"$reply")))
}

memcached_start() {
	server_run "$@" memcached -u nobody -l "$SERVER_IP" -p 11211 -U 0 -t 2
}

memcached_wait() {
	server_wait ask_memcached "$@"
}

ask_memcached() {
	ask 11211 'stats\r\nquit\r\n' "$@" | tee "$PROGRAMS_DIR/memcached.stats" | grep -q END
}

memcached_load() {
	in_client "$@" memcaslap -s "$SERVER_IP:11211" -T 2 -c 16 -x "$REQUESTS" -X 200 -d 1 \
		>"$PROGRAMS_DIR/load.log" 2>&1 &&
		! grep -iE 'error|fail|can.t|timeout' "$PROGRAMS_DIR/load.log"
}

memcached_count() {
	local reply=$PROGRAMS_DIR/memcached.stats
	ask_memcached "$@"
	requests=$(($(field "$reply" cmd_get) + $(field "$reply" cmd_set)))
	errors=0
	# Its listening socket counts as one.
	connections=$(($(field "$reply" total_connections) - 1))
	bytes=$(($(field "$reply" bytes_read) + $(field "$reply" bytes_written) + $(wc -c <"$reply")))
}

nginx_conf() {
	cat <<-EOF2
		daemon off;
		worker_processes 2;
		user root;
		pid $PROGRAMS_DIR/nginx.pid;
		error_log $PROGRAMS_DIR/nginx.error;
		events { }
		http {
			log_format bytes '\$connection \$status \$request_length \$bytes_sent';
			access_log $PROGRAMS_DIR/nginx.log bytes;
			sendfile on;
			keepalive_requests 100000;
			server {
				listen $SERVER_IP:80 reuseport;
				root $PROGRAMS_DIR/www;
			}
		}
	EOF2
}

nginx_start() {
	# shellcheck disable=SC2016
	in_server bash -c 'mkdir -p "$1/www" && cd "$1" || exit
		head -c 10000 /dev/urandom >www/file
		printf "%s" "$2" >nginx.conf
		: >nginx.log' bash "$PROGRAMS_DIR" "$(nginx_conf)"
	server_run "$@" nginx -c "$PROGRAMS_DIR/nginx.conf"
}

nginx_wait() {
	server_wait in_client "$@" curl -sf -o /dev/null "http://$SERVER_IP/file"
}

# fetch DIRECTORY URL CHECKSUM [WRAPPER...]: four at once; what comes must be right
fetch() {
	local directory=$1 url=$2 sum=$3 i pids=() failed=0
	shift 3
	mkdir -p "$directory" && cd "$directory" || return
	for i in 1 2 3 4; do
		"$@" curl -sSf -o "fetched.$i" "$url" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || failed=1
	done
	for i in 1 2 3 4; do
		[ "$(sha256sum <"fetched.$i")" = "$sum" ] || failed=1
	done
	return "$failed"
}

nginx_load() {
	local sum
	# shellcheck disable=SC2016
	sum=$(in_server bash -c 'sha256sum <"$1"' bash "$PROGRAMS_DIR/www/file") &&
		in_client bash -c "$(declare -f fetch); "'fetch "$@"' bash "$PROGRAMS_DIR" \
			"http://$SERVER_IP/file?[1-$((REQUESTS / 4))]" "$sum" "$@" 2>"$PROGRAMS_DIR/load.log"
}

nginx_count() {
	local log=$PROGRAMS_DIR/nginx.copy
	in_server cat "$PROGRAMS_DIR/nginx.log" >"$log"
	requests=$(wc -l <"$log")
	errors=$(awk '$2 != 200 { n++ } END { print n + 0 }' "$log")
	connections=$(cut -d' ' -f1 "$log" | sort -u | wc -l)
	bytes=$(awk '{ n += $3 + $4 } END { printf "%d\n", n }' "$log")
}

# The client that each server's load runs.
declare -A CLIENT_OF=([redis]=redis-benchmark [memcached]=memcaslap [nginx]=curl)
declare -A SERVER_OF=([redis]=redis-server [memcached]=memcached [nginx]=nginx)

# serve PROGRAM NAMESPACE "SERVER-WRAPPER" "CLIENT-WRAPPER": start, load, count
# and stop; fails if anything did. Sets requests, errors, connections, bytes
# and, for the namespace, offloaded, fallbacks, datapath_bytes and segments.
serve() {
	local program=$1 ns=$2 server=$3 client=$4 status=0
	local before_offloaded before_fallbacks before_bytes before_segments
	before_segments=$(kernel_segments "$ns")
	before_offloaded=$(offloaded_connections "$ns")
	before_fallbacks=$(counters "$ns" fallback)
	before_bytes=$(datapath_bytes "$ns")
	# shellcheck disable=SC2086	# a wrapper is a word or nothing
	{
		"${program}_start" $server
		"${program}_wait" $client && "${program}_load" $client || status=1
		[ "$status" -eq 0 ] || tail -5 "$PROGRAMS_DIR/load.log" >&2
		"${program}_count" $client || status=1
	}
	server_stop
	settle "$ns"
	offloaded=$(($(offloaded_connections "$ns") - before_offloaded))
	fallbacks=$(($(counters "$ns" fallback) - before_fallbacks))
	datapath_bytes=$(($(datapath_bytes "$ns") - before_bytes))
	segments=$(($(kernel_segments "$ns") - before_segments))
	return "$status"
}
