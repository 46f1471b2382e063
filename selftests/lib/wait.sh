# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Waiting, for something and at random.

# until_true COMMAND...: tries it for half a minute
until_true() {
	local try
	for ((try = 0; try < 300; try++)); do
		"$@" >/dev/null && return
		sleep 0.1
	done
	echo "in vain: $*"
	return 1
}

# some_time MS: at random, up to that
some_time() {
	sleep "$(printf '0.%06d' $((RANDOM * $1 * 1000 / 32768)))"
}
