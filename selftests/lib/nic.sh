# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# TOE NICs as the link under test: two, joined by a wire, or one whose wire leads
# outside. What a NIC's model takes on its control socket it is told by the virtio
# port called nic0 or nic1.

. "$(dirname "${BASH_SOURCE[0]}")/virtio.sh"

# nics: the NICs' netdevs in this namespace, the one of the lowest slot first
nics() {
	local netdev
	for netdev in /sys/class/net/*; do
		[ "$(basename "$(readlink "$netdev/device/driver")")" = toe ] &&
			echo "$(basename "$(readlink "$netdev/device")") ${netdev##*/}"
	done | sort | cut -d' ' -f2
}

# nic_command NUMBER COMMAND...: has the NIC's model do that
nic_command() {
	local number=$1 device port reply
	shift
	device=$(virtio_port "nic$number") || { echo "there is no NIC $number that can be told" >&2; return 1; }
	exec {port}<>"$device"
	echo "$*" >&"$port"
	read -r -t 10 reply <&"$port"
	exec {port}>&-
	[ "$reply" = ok ] || { echo "nic$number: $*: $reply" >&2; return 1; }
}

# nic_link [NETEM-ARGUMENTS...]: the wire does both ways what netem would do
nic_link() {
	local command=link
	while [ $# -gt 0 ]; do
		case $1 in
		delay) command+=" delay=$(microseconds "$2")" ;;
		rate) command+=" rate=${2%mbit}" ;;
		loss | duplicate | corrupt | reorder) command+=" $1=$(millionths "$2")" ;;
		[0-9]*) set -- "" "$@" ;;	# a correlation, which the model knows none of
		*) echo "the model's link knows no $1" >&2; return 1 ;;
		esac
		shift 2
	done
	nic_command 0 "$command" && nic_command 1 "$command"
}

# microseconds TIME, millionths PERCENTAGE
microseconds() {
	case $1 in
	*us) echo "${1%us}" ;;
	*ms) echo "${1%ms}000" ;;
	esac
}

millionths() {
	awk -v percentage="${1%\%}" 'BEGIN { printf "%d\n", percentage * 10000 }'
}

# nic_take NETDEV NAMESPACE MTU: the NIC's netdev is the link's end in the namespace,
# as it was at first, and no device. By force: connections may be on their way back
# from the device it was in its last namespace.
nic_take() {
	ip link set "$1" netns "$2" name "$LINK" &&
		ip -n "$2" link set "$LINK" mtu "$3" &&
		ip netns exec "$2" ethtool -K "$LINK" tso on gso on gro on >/dev/null &&
		ip netns exec "$2" toetool dev del "$LINK" --force
}

# nic_give_back NAMESPACE NUMBER: if the link's end there is a NIC's, it leaves the namespace
nic_give_back() {
	ip netns exec "$1" test -e "/sys/class/net/$LINK/device" || return 0
	ip -n "$1" link set "$LINK" netns 1 name "nic$2"
}

# topo_nic_pair [MTU]: joined by the two NICs, no devices yet
topo_nic_pair() {
	local mtu=${1:-1500} ends
	toe_load || return
	mapfile -t ends < <(nics)
	[ "${#ends[@]}" -eq 2 ] || { echo "${#ends[@]} NICs are there, not two" >&2; return 1; }
	nic_take "${ends[0]}" "$SERVER_NS" "$mtu" && nic_take "${ends[1]}" "$CLIENT_NS" "$mtu" && nic_link
}

# nic_ready: the only NIC is the link's end here, in the namespace that everything began in
nic_ready() {
	local nic
	toe_load || return
	nic=$(nics)
	[ -n "$nic" ] || { echo "there is no NIC: scripts/vm needs --nic" >&2; return 1; }
	[ "$nic" = "$LINK" ] || ip link set "$nic" name "$LINK"
}

# topo_nic server|client: the NIC is that end of the link; the other one is outside
topo_nic() {
	local here=toe_nic ns
	SERVER_NS=$OUTSIDE CLIENT_NS=$here
	[ "$1" = client ] || SERVER_NS=$here CLIENT_NS=$OUTSIDE
	nic_ready || return
	[ -e "/run/netns/$here" ] || ip netns attach "$here" 1 || return
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		at "$ns" ip addr flush dev "$LINK" || return
	done
	topo_addresses
}
