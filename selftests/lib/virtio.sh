# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Virtio ports, by which what is tested can be told things that its link doesn't carry.

# virtio_port NAME: its device
virtio_port() {
	local port
	for port in /sys/class/virtio-ports/*; do
		[ "$(cat "$port/name" 2>/dev/null)" = "$1" ] && echo "/dev/${port##*/}" && return
	done
	return 1
}
