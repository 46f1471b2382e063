# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Checked transfers during which something is done to their devices.

declare -A OFFLOADED_BEFORE

# until_carried NAMESPACE: waits until the transfer's connection was handed over there
until_carried() {
	until_true more_offloaded_than "$1" "${OFFLOADED_BEFORE[$1]}"
}

# transfers_while COMMAND SERVER CLIENT 4|6 NETEM TRANSFER-ARGUMENTS...: a transfer, over a link that should be slow enough for
# it to be under way when the command, which gets its PID, is at work; HANDED_BACK says how often connections were. Afterwards
# the link is as fast as it can be.
transfers_while() {
	local command=$1 server=$2 client=$3 ip=$4 netem=$5 before transfer ns status=0
	shift 5
	topo_up 1500 && ends "$server" "$client" "$ip" || return
	# shellcheck disable=SC2086	# words are meant
	topo_netem $netem || return
	before=$(lost_connections "$SERVER_NS")
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		OFFLOADED_BEFORE[$ns]=$(offloaded_connections "$ns")
	done
	./transfer "$@" &
	transfer=$!
	"$command" "$transfer" || status=1
	topo_netem_clear || status=1
	wait "$transfer" || status=1
	HANDED_BACK=$(($(lost_connections "$SERVER_NS") - before))
	echo "$HANDED_BACK times handed back"
	return "$status"
}
