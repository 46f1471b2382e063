#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# netdev.sh: what is expected of any NIC and its driver: ethtool's operations, MTU,
# receive filters, queues, unbinding, suspending. For a virtual machine with
# --nic-pair. It is suspended if TOE_TEST_SLEEP is set: QEMU's can't be switched
# off any more after that.
# shellcheck disable=SC2317	# ktap_test calls the functions

cd "$(dirname "$0")" || exit 1
. lib/ktap.sh
. lib/topology.sh
. lib/transfers.sh

# The wire is what limits a transfer here, and it must last until the NIC is gone.
unset TOE_TEST_DIVISOR

# Packets of a test, of which a few go astray or are others'.
COUNT=40

# ethtool_of OPTION [ARGUMENTS...]: on the server's NIC
ethtool_of() {
	in_server ethtool "$1" "$LINK" "${@:2}"
}

# refused COMMAND...: it fails, and says so
refused() {
	! "$@" 2>/dev/null || { echo "not refused: $*"; return 1; }
}

# same WHAT EXPECTED GOT
same() {
	[ "$2" = "$3" ] || { echo "$1: $3, not $2"; return 1; }
}

# statistic NAME: of the server's NIC
statistic() {
	ethtool_of -S | awk -v name="$1:" '$1 == name { print $2 }'
}

# reaches [PING-ARGUMENTS...]: the client the server, by either protocol
reaches() {
	in_client ping -qc 5 -i 0.1 -W 2 "$@" 10.77.0.1 >/dev/null && in_client ping -qc 5 -i 0.1 -W 2 "$@" fd77::1 >/dev/null
}

# again_up: the server's netdev, with the address it lost when it was down
again_up() {
	in_server ip addr add fd77::1/64 dev "$LINK" nodad && in_server ip link set "$LINK" up && until_true reaches
}

# by_kernel_tcp BYTES: a transfer over the netdevs
by_kernel_tcp() {
	ends_without_device tcp tcp && ./transfer -n "$1"
}

identity() {
	local info pattern
	info=$(ethtool_of -i)
	for pattern in 'driver: toe' 'firmware-version: [0-9]+\.[0-9]+' 'bus-info: [0-9a-f:.]+' 'supports-statistics: yes' \
		'supports-test: yes' 'supports-register-dump: yes'; do
		grep -qxE "$pattern *" <<<"$info" || { echo "no $pattern: $info"; return 1; }
	done
}

link_settings() {
	local settings
	settings=$(in_server ethtool "$LINK")
	grep -q 'Duplex: Full' <<<"$settings" && grep -q 'Link detected: yes' <<<"$settings" && return
	echo "$settings"
	return 1
}

# The first register is the interface's magic number.
registers() {
	same magic TOE0 "$(ethtool_of -d raw on | head -c 4)"
}

statistics() {
	local name before
	for name in port_rx_frames port_tx_frames; do
		before=$(statistic "$name")
		reaches || return
		[ "$(statistic "$name")" -ge $((before + 10)) ] || { echo "$name stays $before"; return 1; }
	done
}

# setting OPTION NAME: the last value of that name that ethtool shows
setting() {
	ethtool_of "$1" | awk -v name="$2:" '$1 == name { value = $2 } END { print value }'
}

rings() {
	local status=0 most
	most=$(ethtool_of -g | awk '$1 == "RX:" { print $2; exit }')
	same 'RX at first' "$most" "$(setting -g RX)" || return
	ethtool_of -G rx 64 tx 128 && same RX 64 "$(setting -g RX)" && same TX 128 "$(setting -g TX)" &&
		reaches && reaches -s 8000 && by_kernel_tcp 2M || status=1
	refused ethtool_of -G rx 100 && refused ethtool_of -G tx 32 && refused ethtool_of -G rx $((most * 2)) || status=1
	same 'RX after that' 64 "$(setting -g RX)" || status=1
	ethtool_of -G rx "$most" tx "$most" && reaches && return "$status"
}

# flows: datagrams of many flows, from the client
flows() {
	# shellcheck disable=SC2016	# the inner shell's
	in_client bash -c 'for port in {7000..7063}; do echo >"/dev/udp/10.77.0.1/$port"; done' 2>/dev/null
	return 0
}

# queues_used: whether each of the two queues has received anything of many flows: 0, 1 or both
queues_used() {
	local before0 before1 used=
	before0=$(statistic queue0_rx_packets)
	before1=$(statistic queue1_rx_packets)
	flows
	sleep 0.5
	[ "$(statistic queue0_rx_packets)" -lt $((before0 + 10)) ] || used+='0'
	[ "$(statistic queue1_rx_packets)" -lt $((before1 + 10)) ] || used+='1'
	echo "$used"
}

channels() {
	local status=0
	same 'at first' 2 "$(setting -l Combined)" && same 'queues used at first' 01 "$(queues_used)" || return
	ethtool_of -L combined 1 && same 'channels' 1 "$(setting -l Combined)" && same 'queues used' 0 "$(queues_used)" &&
		reaches && by_kernel_tcp 2M || status=1
	refused ethtool_of -L combined 3 || status=1
	ethtool_of -L combined 2 && reaches && same 'queues used again' 01 "$(queues_used)" && return "$status"
}

coalescing() {
	local status=0
	ethtool_of -C rx-usecs 200 && same rx-usecs 200 "$(setting -c rx-usecs)" && reaches || status=1
	refused ethtool_of -C tx-usecs 7 || status=1
	ethtool_of -C rx-usecs 0 && reaches && return "$status"
}

spreading() {
	local status=0 key
	key=$(printf '%02x:' {1..40})
	same 'queues used at first' 01 "$(queues_used)" || return
	ethtool_of -X weight 0 1 && same 'queues used' 1 "$(queues_used)" || status=1
	# The table needs both.
	refused ethtool_of -L combined 1 || status=1
	ethtool_of -X equal 1 && same 'queues used' 0 "$(queues_used)" || status=1
	ethtool_of -X default && same 'queues used in the end' 01 "$(queues_used)" || status=1
	ethtool_of -X hkey "${key%:}" && ethtool_of -x | grep -qiF "${key%:}" || status=1
	refused ethtool_of -X hfunc xor || status=1
	# It is told again to a device that has forgotten it.
	ethtool_of -X weight 0 1 && in_server ip link set "$LINK" down && again_up &&
		ethtool_of -t offline >/dev/null && until_true reaches && same 'queues used after a reset' 1 "$(queues_used)" ||
		status=1
	ethtool_of -X default && return "$status"
}

offloads() {
	local status=0
	ethtool_of -K rx off tx off tso off rxhash off && reaches && by_kernel_tcp 2M || status=1
	ethtool_of -k | grep -q '^rx-checksumming: off' || status=1
	ethtool_of -K rx on tx on tso on rxhash on && reaches && by_kernel_tcp 2M && return "$status"
}

# set_mtu BYTES: of both ends
set_mtu() {
	in_server ip link set "$LINK" mtu "$1" && in_client ip link set "$LINK" mtu "$1"
}

mtu() {
	local status=0
	set_mtu 9000 && in_client ping -qc 5 -i 0.1 -W 5 -s 8972 -M 'do' 10.77.0.1 >/dev/null && by_kernel_tcp 4M &&
		ends toe toe && all_offloaded 1 ./transfer -n 4M || status=1
	refused in_server ip link set "$LINK" mtu 9001 || status=1
	same mtu 9000 "$(in_server cat "/sys/class/net/$LINK/mtu")" || status=1
	set_mtu 1500 && reaches && return "$status"
}

# A device that doesn't take it keeps what it has.
mtu_refused() {
	local status=0
	nic_command 0 hang || return
	refused in_server ip link set "$LINK" mtu 1400 && same mtu 1500 "$(in_server cat "/sys/class/net/$LINK/mtu")" || status=1
	nic_command 0 resume && until_true reaches && return "$status"
}

# Where nobody is, and a group that nobody has joined.
NOBODY=02:00:00:00:00:99
GROUP=01:00:5e:09:09:09

# passes ADDRESS: what is sent there passes the filter of the server's NIC
passes() {
	local before
	before=$(statistic port_rx_filtered)
	in_client ping -qc "$COUNT" -i 0.01 -W 1 "$@" >/dev/null
	[ "$(statistic port_rx_filtered)" -lt $((before + COUNT)) ]
}

to_nobody() {
	in_client ip neigh replace 10.77.0.9 lladdr "$NOBODY" dev "$LINK" nud permanent && passes 10.77.0.9
}

to_group() {
	passes -I "$LINK" 239.9.9.9
}

# filtered COMMAND...: doesn't pass
filtered() {
	! "$@" || { echo "$* passes the filter"; return 1; }
}

another_address() {
	local status=0
	filtered to_nobody || status=1
	in_server ip link add other0 link "$LINK" address "$NOBODY" type macvlan mode bridge || return "$KTAP_SKIP"
	in_server ip addr add 10.77.0.9/32 dev other0 && in_server ip link set other0 up &&
		until_true in_client ping -qc 1 -W 1 10.77.0.9 || status=1
	in_server ip -d link show dev "$LINK" | grep -q 'promiscuity 0 ' || status=1
	in_server ip link del other0 && filtered to_nobody && return "$status"
}

groups() {
	local status=0
	filtered to_group || status=1
	in_server ip maddr add "$GROUP" dev "$LINK" && to_group || status=1
	in_server ip maddr del "$GROUP" dev "$LINK" && filtered to_group && return "$status"
}

# flag FLAG COMMAND...: what is sent so passes while the netdev has that flag
flag() {
	local flag=$1 status=0
	shift
	filtered "$@" || status=1
	in_server ip link set "$LINK" "$flag" on && "$@" || status=1
	in_server ip link set "$LINK" "$flag" off && filtered "$@" && return "$status"
}

# each_group add|del: many are joined or left
each_group() {
	# shellcheck disable=SC2016	# the inner shell's
	in_server bash -c 'for number in {10..79}; do ip maddr "$0" "01:00:5e:00:01:$number" dev "$1" || exit; done' "$1" "$LINK"
}

# More than the NIC can be told.
many_groups() {
	local status=0
	each_group add && to_group && reaches || status=1
	each_group del && filtered to_group && return "$status"
}

# The NIC forgets the filter when it is reset.
filter_after_reset() {
	local status=0
	in_server ip maddr add "$GROUP" dev "$LINK" && ethtool_of -t offline >/dev/null && until_true reaches &&
		filtered to_nobody && to_group || status=1
	in_server ip maddr del "$GROUP" dev "$LINK" && return "$status"
}

# self_test online|offline: passes, each of its tests
self_test() {
	local output status
	output=$(ethtool_of -t "$1")
	status=$?
	[ "$status" -eq 0 ] && ! grep -E '\((on|off)line\)' <<<"$output" | grep -qvE '[[:space:]]0$' &&
		[ "$(grep -cE '\((on|off)line\)' <<<"$output")" -eq 7 ] && reaches && return
	echo "$output"
	return 1
}

# One that hangs fails, and says where.
self_test_fails() {
	local output status=0
	nic_command 0 hang || return
	if output=$(ethtool_of -t online) || ! grep -qE '^admin queue.*[1-9]$' <<<"$output"; then
		echo "$output"
		status=1
	fi
	nic_command 0 resume && until_true reaches && return "$status"
}

# health FIELD: what devlink says of the server's NIC
health() {
	devlink health show "pci/$(server_pci)" reporter nic -j | jq -r --arg field "$1" '.health[][0][$field]'
}

healthy() {
	[ "$(health state)" = healthy ]
}

# A failure is told, with what the NIC was like at that moment.
health_reported() {
	local errors status=0
	command -v devlink >/dev/null || return "$KTAP_SKIP"
	errors=$(health error)
	same 'state at first' healthy "$(health state)" && nic_command 0 hang || return
	until_true more_errors_than "$errors" || status=1
	nic_command 0 resume && until_true healthy || status=1
	devlink health dump show "pci/$(server_pci)" reporter nic | grep -q 'status: [1-9]' || status=1
	same 'errors' $((errors + 1)) "$(health error)" && until_true reaches && return "$status"
}

more_errors_than() {
	[ "$(health error)" -gt "$1" ]
}

# disturb: does what DISTURBANCE says, to a transfer that the server's NIC carries
disturb() {
	until_carried "$SERVER_NS" && some_time 500 && "${DISTURBANCE[@]}"
}

# in_mid_transfer COMMAND...: while one is under way that is offloaded at the server, which must end right
in_mid_transfer() {
	DISTURBANCE=("$@")
	transfers_while disturb toe tcp 4 'rate 5mbit' -n 8M -m edge
}

# goes_on COMMAND...: so does a transfer whose device the command takes away
goes_on() {
	in_mid_transfer "$@" || return
	[ "$HANDED_BACK" -gt 0 ] || { echo "no connection was handed back"; return 1; }
}

# undisturbed COMMAND...: so is a transfer, which stays on the NIC
undisturbed() {
	in_mid_transfer "$@" || return
	same 'connections handed back' 0 "$HANDED_BACK"
}

reopenings() {
	ethtool_of -L combined 1 && ethtool_of -G rx 128 && sleep 0.2 && ethtool_of -L combined 2 && ethtool_of -G rx 512
}

# sent_while_reopened: what the stack was given while the netdev couldn't send it sends afterwards, or drops
sent_while_reopened() {
	# shellcheck disable=SC2016	# by the other shell
	in_server ./drain 10.77.0.2 bash -c 'for i in {1..60}; do ethtool -G "$0" tx "$((128 << i % 2))" || exit; done' "$LINK"
}

# server_pci: the PCI device of the server's NIC
server_pci() {
	basename "$(in_server readlink "/sys/class/net/$LINK/device")"
}

nic_is_back() {
	[ "$(nics | wc -l)" -eq 1 ]
}

# rejoin: the server's NIC, which was found anew, is its end of the link again, and its device
rejoin() {
	until_true nic_is_back && nic_take "$(nics)" "$SERVER_NS" 1500 &&
		in_server ip addr add 10.77.0.1/24 dev "$LINK" && in_server ip addr add fd77::1/64 dev "$LINK" nodad &&
		in_server ip link set "$LINK" up && dev_add "$SERVER_NS" "$LINK"
}

rebind() {
	local pci
	pci=$(server_pci)
	echo "$pci" >/sys/bus/pci/drivers/toe/unbind && sleep 0.5 && echo "$pci" >/sys/bus/pci/drivers/toe/bind && rejoin
}

replug() {
	local pci
	pci=$(server_pci)
	echo 1 >"/sys/bus/pci/devices/$pci/remove" && sleep 0.5 && echo 1 >/sys/bus/pci/rescan && rejoin
}

# Nothing is left of a NIC that nobody uses either.
rebind_idle() {
	topo_up 1500 && rebind && reaches && self_test offline
}

# sleeps: this machine, for a few seconds, if it can be woken up again
sleeps() {
	[ -n "${TOE_TEST_SLEEP-}" ] || return "$KTAP_SKIP"
	rtcwake -m mem -s 3 >/dev/null
}

suspend() {
	[ -n "${TOE_TEST_SLEEP-}" ] || return "$KTAP_SKIP"
	goes_on sleeps && more_offloaded_than "$SERVER_NS" 1 && reaches && self_test online
}

suspend_down() {
	local status=0
	[ -n "${TOE_TEST_SLEEP-}" ] || return "$KTAP_SKIP"
	topo_up 1500 && in_server ip link set "$LINK" down && sleeps || status=1
	again_up && return "$status"
}

for test in identity link_settings registers statistics rings channels coalescing spreading offloads mtu mtu_refused \
	another_address groups many_groups filter_after_reset self_test_fails health_reported; do
	ktap_test "$test" "$test"
done
ktap_test allmulticast flag allmulticast to_group
ktap_test promiscuous flag promisc to_nobody
ktap_test self_test_online self_test online
ktap_test self_test_offline self_test offline
ktap_test reopened_in_mid_transfer undisturbed reopenings
ktap_test sent_while_reopened sent_while_reopened
ktap_test self_test_in_mid_transfer_online undisturbed ethtool_of -t online
ktap_test self_test_in_mid_transfer_offline goes_on ethtool_of -t offline
ktap_test rebind_idle rebind_idle
ktap_test rebind goes_on rebind
ktap_test replug goes_on replug
ktap_test suspend suspend
ktap_test suspend_down suspend_down

topo_up 1500
ktap_run "$@"
status=$?
topo_down
exit "$status"
