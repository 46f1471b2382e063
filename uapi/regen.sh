#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Generate toe_netlink.h from Documentation/netlink/specs/toe.yaml with the
# kernel's own generator (needs python3 with yaml and jsonschema).
# usage: regen.sh KERNEL_SOURCE [--check]
#   --check: write nothing, fail if toe_netlink.h is not what the spec says

set -eu

here=$(cd "$(dirname "$0")" && pwd)
kernel=${1:?usage: regen.sh KERNEL_SOURCE [--check]}
header=$here/toe_netlink.h
generator=$kernel/tools/net/ynl/pyynl/ynl_gen_c.py

if [ ! -f "$generator" ]; then
	echo "regen.sh: $generator: not found; is $kernel a kernel source tree?" >&2
	exit 1
fi

# The generator looks for its schema and for MAINTAINERS above the spec, as in a kernel tree.
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/Documentation/netlink/specs"
cp "$kernel"/Documentation/netlink/*.yaml "$tree/Documentation/netlink/"
cp "$here/../Documentation/netlink/specs/toe.yaml" "$tree/Documentation/netlink/specs/"
touch "$tree/MAINTAINERS"

PYTHONDONTWRITEBYTECODE=1 python3 "$generator" --mode uapi --header \
	--spec "$tree/Documentation/netlink/specs/toe.yaml" -o "$tree/toe_netlink.h"
sed -i 's|tools/net/ynl/ynl-regen.sh|uapi/regen.sh|' "$tree/toe_netlink.h"

if [ "${2:-}" = --check ]; then
	diff -u "$header" "$tree/toe_netlink.h"
else
	cp "$tree/toe_netlink.h" "$header"
fi
