#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Tests of toe_run and its library as they are installed: side by side in the
# directory given, or to be found in another one.
set -u

dir=$(realpath "${1:?usage: toe_run.sh DIRECTORY}")
toe_run=$dir/toe_run
failed=0

# expect WHAT WANTED GOT
expect() {
	if [ "$2" != "$3" ]; then
		echo "toe_run.sh: $1: wanted '$2', got '$3'"
		failed=1
	fi
}

status() {
	"$@" >/dev/null 2>&1
	echo $?
}

expect "exit status of the program" 7 "$(status "$toe_run" sh -c 'exit 7')"
expect "no such program" 127 "$(status "$toe_run" ./no-such-program)"
expect "not a program" 126 "$(status "$toe_run" "$dir")"
expect "wrong usage" 2 "$(status "$toe_run")"
expect "library loaded" 1 \
	"$("$toe_run" -q sh -c 'grep -m1 -c libtoe_preload.so /proc/self/maps')"
expect "arguments" "--port 7 a b" "$("$toe_run" -q echo --port 7 'a b')"
expect "nothing said by the loader" "" "$("$toe_run" -q true 2>&1)"

# protocol [VARIABLE=VALUE]: of the TCP socket that a Python program gets
protocol() {
	env "$@" "$toe_run" -q python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
print(s.getsockopt(socket.SOL_SOCKET, 38))'	# SO_PROTOCOL
}

warning=$("$toe_run" true 2>&1)
if python3 -c 'import socket; socket.socket(2, 1, 257)' 2>/dev/null; then
	expect "no warning" "" "$warning"
	expect "protocol" 257 "$(protocol)"
	expect "strict" 0 "$(status "$toe_run" --strict true)"
else
	expect "a warning of one line" 1 "$(printf '%s\n' "$warning" | grep -c 'modprobe toe')"
	expect "protocol without the module" 6 "$(protocol)"
	expect "strict without the module" 125 "$(status "$toe_run" --strict true)"
fi
expect "disabled" 6 "$(protocol TOE_RUN_DISABLE=1)"

[ $failed = 0 ] && echo "toe_run.sh: ok"
exit $failed
