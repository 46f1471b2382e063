# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The link under test: namespaces toe_a (servers) and toe_b (clients), joined by
# a veth pair whose ends are both called toe0; or by two TOE NICs and their wire;
# or, after topo_nic, one of them and what is outside the virtual machine.

: "${TOE_DEVICE:=soft}"		# kind of device under test; none: kernel TCP only
export TOE_DEVICE

. "$(dirname "${BASH_SOURCE[0]}")/wait.sh"
. "$(dirname "${BASH_SOURCE[0]}")/nic.sh"

SERVER_NS=toe_a
CLIENT_NS=toe_b
LINK=toe0

OUTSIDE=outside			# in place of a namespace's name: not in this machine

# at NAMESPACE COMMAND...
at() {
	local ns=$1
	shift
	if [ "$ns" = "$OUTSIDE" ]; then
		"$(dirname "${BASH_SOURCE[0]}")/outside.sh" "$@"
	else
		ip netns exec "$ns" "$@"
	fi
}

in_server() {
	at "$SERVER_NS" "$@"
}

in_client() {
	at "$CLIENT_NS" "$@"
}

# server_addr 4|6, client_addr 4|6
server_addr() {
	case $1 in
	4) echo 10.77.0.1 ;;
	6) echo fd77::1 ;;
	esac
}

client_addr() {
	case $1 in
	4) echo 10.77.0.2 ;;
	6) echo fd77::2 ;;
	esac
}

# topo_up [MTU]
topo_up() {
	topo_namespaces && topo_link "$@" && topo_addresses
}

# topo_link [MTU]: joins the namespaces
topo_link() {
	if [ "$TOE_DEVICE" = pci ]; then
		topo_nic_pair "$@"
	else
		topo_veth "$LINK" "$@"
	fi
}

# topo_namespaces: both, empty
topo_namespaces() {
	topo_down
	ip netns add "$SERVER_NS" && ip netns add "$CLIENT_NS"
}

# topo_veth NAME [MTU]: a veth pair between the namespaces, both ends of that name
topo_veth() {
	local name=$1 mtu=${2:-1500}
	ip link add "$name" mtu "$mtu" netns "$SERVER_NS" type veth \
		peer name "$name" mtu "$mtu" netns "$CLIENT_NS"
}

# topo_addresses: the link is up, with the addresses of the ends
topo_addresses() {
	local ns end=1
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		at "$ns" ip link set lo up || return
		at "$ns" ip addr add "10.77.0.$end/24" dev "$LINK" || return
		at "$ns" ip addr add "fd77::$end/64" dev "$LINK" nodad || return
		at "$ns" ip link set "$LINK" up || return
		end=2
	done
}

topo_down() {
	local ns number=0
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		[ -e "/run/netns/$ns" ] && nic_give_back "$ns" "$number" && ip netns del "$ns"
		number=1
	done
	return 0
}

# topo_netem NETEM-ARGUMENTS...: the same impairment on both directions. What NICs
# send by themselves meets no queueing discipline: theirs is on the wire.
topo_netem() {
	local ns
	[ "$TOE_DEVICE" != pci ] || { nic_link "$@"; return; }
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		tc -n "$ns" qdisc replace dev "$LINK" root netem limit 10000 "$@" || return
	done
}

# topo_netem_clear: a good link again
topo_netem_clear() {
	local ns
	[ "$TOE_DEVICE" != pci ] || { nic_link; return; }
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		tc -n "$ns" qdisc del dev "$LINK" root 2>/dev/null
	done
	return 0
}

# topo_segment: one packet per segment, so that an impairment meets segments
# and not the large packets that segmentation offload makes of them
topo_segment() {
	local ns
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		ip netns exec "$ns" ethtool -K "$LINK" tso off gso off gro off || return
	done
}

# ends_without_device SERVER CLIENT [4|6]: which stacks (tcp, toe, toe-proto) the
# test programs use at each end
ends_without_device() {
	local version=${3:-4}
	export TOE_TEST_SERVER=$1 TOE_TEST_CLIENT=$2
	export TOE_TEST_SERVER_NS=$SERVER_NS TOE_TEST_CLIENT_NS=$CLIENT_NS
	TOE_TEST_SERVER_ADDR=$(server_addr "$version")
	TOE_TEST_CLIENT_ADDR=$(client_addr "$version")
	export TOE_TEST_SERVER_ADDR TOE_TEST_CLIENT_ADDR
}

# ends SERVER CLIENT [4|6]: the same, with an offload device at each AF_TOE end
ends() {
	ends_without_device "$@"
	[ "$1" = tcp ] || dev_add "$SERVER_NS" "$LINK" || return
	[ "$2" = tcp ] || dev_add "$CLIENT_NS" "$LINK" || return
}

# ends_on_lo SERVER CLIENT ADDRESS: both ends in the server's namespace
ends_on_lo() {
	export TOE_TEST_SERVER=$1 TOE_TEST_CLIENT=$2
	export TOE_TEST_SERVER_NS=$SERVER_NS TOE_TEST_CLIENT_NS=$SERVER_NS
	export TOE_TEST_SERVER_ADDR=$3 TOE_TEST_CLIENT_ADDR=$3
	[ "$1$2" = tcptcp ] || dev_add "$SERVER_NS" lo
}

# dev_add NAMESPACE NETDEV: make it a device under test
dev_add() {
	export TOE_TEST_OFFLOAD=1
	toe_load && ip netns exec "$1" toetool dev add "$2" --kind "$TOE_DEVICE"
}

toe_load() {
	[ -d /sys/module/toe ] || insmod "$(dirname "${BASH_SOURCE[0]}")/../../toe.ko"
}

# counters NAMESPACE GROUP [NAME]: the sum of the namespace's and its devices'
counters() {
	[ "$TOE_DEVICE" = none ] && echo 0 && return
	at "$1" toetool stats --json |
		jq --arg group "$2" --arg name "${3-}" \
		'[.[].counters[$group] // {} | if $name == "" then .[] else .[$name] // 0 end] | add // 0'
}

# kernel_segments NAMESPACE: segments that the kernel's own TCP received and sent
kernel_segments() {
	# shellcheck disable=SC2016	# awk's fields
	at "$1" awk '$1 == "Tcp:" && $11 ~ /^[0-9]+$/ { print $11 + $12 }' /proc/net/snmp
}

# offloaded_connections NAMESPACE: handed over to a device so far
offloaded_connections() {
	counters "$1" event offloaded
}

# more_offloaded_than NAMESPACE COUNT
more_offloaded_than() {
	[ "$(offloaded_connections "$1")" -gt "$2" ]
}

# lost_connections NAMESPACE: handed back by devices so far
lost_connections() {
	counters "$1" fallback device-lost
}

# datapath_bytes NAMESPACE: payload that devices received and sent so far, each
# byte once, with what had arrived before the hand-over and was handed over too
datapath_bytes() {
	echo $(($(counters "$1" event rx-bytes) + $(counters "$1" event tx-bytes) +
		$(counters "$1" event moved-bytes) - $(counters "$1" event tx-retransmitted-bytes)))
}

# all_offloaded COUNT COMMAND...: runs the command; each AF_TOE end must have had so
# many connections, all of them offloaded
all_offloaded() {
	local count=$1 ns offloaded
	local -A before
	shift
	for ns in "$SERVER_NS" "$CLIENT_NS"; do
		before[$ns]=$(offloaded_connections "$ns")
	done
	"$@" || return
	for ns in "$SERVER_NS:$TOE_TEST_SERVER" "$CLIENT_NS:$TOE_TEST_CLIENT"; do
		[ "${ns#*:}" = tcp ] && continue
		ns=${ns%:*}
		offloaded=$(($(offloaded_connections "$ns") - before[$ns]))
		if [ "$offloaded" -ne "$count" ]; then
			echo "$ns: of $count connections $offloaded were offloaded"
			ip netns exec "$ns" toetool stats
			return 1
		fi
	done
}

# settle NAMESPACE: wait until the closed connections have left the devices
settle() {
	local try
	[ "$TOE_DEVICE" = none ] && return
	for ((try = 0; try < 50; try++)); do
		at "$1" toetool dev show --json |
			jq -e 'all(.[]; .connections == 0)' >/dev/null && return
		sleep 0.1
	done
}
