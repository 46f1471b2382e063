# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# KTAP output for test scripts: name the tests first, then run them.
#
#	ktap_test NAME COMMAND...	adds a test; exit code 0 passes, 4 skips
#	ktap_suite NAME COMMAND...	adds a command that prints KTAP itself
#	ktap_part N/M			keeps the N-th of M parts of what was added
#	ktap_run [PATTERN...]		runs what was added, or what matches

KTAP_SKIP=4

ktap_names=()
ktap_commands=()
ktap_kinds=()

ktap_add() {
	ktap_kinds+=("$1")
	ktap_names+=("$2")
	shift 2
	ktap_commands+=("$(printf '%q ' "$@")")
}

ktap_test() {
	ktap_add test "$@"
}

ktap_suite() {
	ktap_add suite "$@"
}

ktap_part() {
	local i part=${1%/*} parts=${1#*/}
	for i in "${!ktap_names[@]}"; do
		[ $((i % parts)) -eq $((part - 1)) ] || unset "ktap_names[i]"
	done
}

ktap_selected() {
	local name=$1 pattern
	shift
	[ $# -eq 0 ] && return 0
	for pattern; do
		# shellcheck disable=SC2053	# a pattern is meant
		[[ $name == $pattern ]] && return 0
	done
	return 1
}

# ktap_indent KIND NAME: diagnostics for a test, an indented document with its name for a suite.
ktap_indent() {
	if [ "$1" = suite ]; then
		sed -u -e "1a\\  # Subtest: $2" -e 's/^/  /'
	else
		sed -u -e 's/^# \?//' -e 's/^/# /'
	fi
}

ktap_run() {
	local i status failed=0 number=0 chosen=()
	for i in "${!ktap_names[@]}"; do
		ktap_selected "${ktap_names[i]}" "$@" && chosen+=("$i")
	done
	printf 'KTAP version 1\n1..%d\n' "${#chosen[@]}"
	for i in "${chosen[@]}"; do
		number=$((number + 1))
		eval "${ktap_commands[i]}" 2>&1 | ktap_indent "${ktap_kinds[i]}" "${ktap_names[i]}"
		status=${PIPESTATUS[0]}
		if [ "$status" -eq 0 ]; then
			echo "ok $number ${ktap_names[i]}"
		elif [ "$status" -eq "$KTAP_SKIP" ]; then
			echo "ok $number ${ktap_names[i]} # SKIP"
		else
			echo "not ok $number ${ktap_names[i]}"
			failed=$((failed + 1))
		fi
	done
	[ "$failed" -eq 0 ]
}
