#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# faults.sh [COUNT [FAULT...]]: the TOE NIC hangs, is gone or answers nonsense (hang,
# gone, nonsense) for a while, at random moments of checked transfers that it carries
# to and from the outside; every one must end right. For a virtual machine with
# --nic --outside.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh

count=${1:-6}
shift
faults=("$@")
[ "${#faults[@]}" -gt 0 ] || faults=(hang gone nonsense)
# Small pieces, for the transfer to last longer than until the fault.
TRANSFER=(-n 32M -w 2000 -r 2000 -t 240)

# resets: of the NIC by its driver
resets() {
	counters "$NIC_NS" event resets
}

more_resets_than() {
	[ "$(resets)" -gt "$1" ]
}

# found: what was found to be wrong with the NIC, and how often
found() {
	at "$NIC_NS" toetool stats --json | jq -r '[.[].counters.event // {}] | add | to_entries[] |
		select(.value > 0 and (.key | test("^(device|unanswered|stuck|stopped|wrong)-"))) |
		"\(.key) \(.value)"'
}

# command_for FAULT: what the NIC's model is told to do
command_for() {
	case $1 in
	nonsense) echo "nonsense $RANDOM$RANDOM" ;;
	*) echo "$1" ;;
	esac
}

finished() {
	at "$OUTSIDE" test -e /tmp/status
}

# end_here, end_outside server|client OPTIONS...: that end of a transfer
end_here() {
	at "$NIC_NS" ./transfer -e "$1" "${@:2}"
}

end_outside() {
	local name environment=()
	for name in TOE_TEST_{SERVER,CLIENT}{,_ADDR}; do
		environment+=("$name=${!name}")
	done
	at "$OUTSIDE" bash -c "rm -f /tmp/status; (cd /payload/selftests && env ${environment[*]} ./transfer -e $* >/tmp/output 2>&1
		echo \$? >/tmp/new && mv /tmp/new /tmp/status) &"
}

# survives server|client FAULT PORT MODE: as that end, with kernel TCP at the other
survives() {
	local role=$1 fault=$2 options=("${TRANSFER[@]}" -p "$3" -m "$4") here before offloaded lost command known status=0
	topo_nic "$role" || return
	NIC_NS=$SERVER_NS
	[ "$role" = client ] && NIC_NS=$CLIENT_NS
	if [ "$role" = server ]; then ends_without_device toe tcp; else ends_without_device tcp toe; fi
	unset TOE_TEST_SERVER_NS TOE_TEST_CLIENT_NS
	before=$(resets)
	offloaded=$(offloaded_connections "$NIC_NS")
	lost=$(lost_connections "$NIC_NS")
	known=$(found)
	command=$(command_for "$fault")
	if [ "$role" = server ]; then
		end_here server "${options[@]}" &
		here=$!
		end_outside client "${options[@]}"
	else
		end_outside server "${options[@]}"
		end_here client "${options[@]}" &
		here=$!
	fi
	until_true more_offloaded_than "$NIC_NS" "$offloaded" && some_time 799 && nic_command 0 "$command" || status=1
	if [ "$fault" = gone ]; then
		sleep "$((RANDOM % 3 + 1))"
		nic_command 0 resume || status=1
	fi
	until_true more_resets_than "$before" || status=1
	wait "$here" || status=1
	until_true finished || status=1
	if [ "$(at "$OUTSIDE" cat /tmp/status)" != 0 ]; then
		at "$OUTSIDE" cat /tmp/output
		status=1
	fi
	lost=$(($(lost_connections "$NIC_NS") - lost))
	if [ "$lost" -ne 1 ]; then
		echo "$lost connections were handed back"
		status=1
	fi
	if [ "$(found)" = "$known" ]; then
		echo "nothing was found to be wrong with the NIC"
		status=1
	fi
	[ "$status" -eq 0 ] || echo "$command; found so far: $(found | paste -sd,)"
	return "$status"
}

modes=(block level edge)
roles=(server client)
for ((i = 0; i < count; i++)); do
	fault=${faults[i % ${#faults[@]}]}
	role=${roles[i / ${#faults[@]} % 2]}
	mode=${modes[i / (2 * ${#faults[@]}) % 3]}
	ktap_test "${i}_${fault}_${role}_$mode" survives "$role" "$fault" $((7000 + i)) "$mode"
done
# shellcheck disable=SC2119	# all of them
ktap_run
status=$?
NIC_NS=toe_nic
found | sed 's/^/# /'
exit "$status"
