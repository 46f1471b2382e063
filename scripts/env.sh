# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Where things are. Sourced by the other scripts, on the host and in the toolchain root.

TOE_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# Not ~/.cache of root when the user reached root by sudo: set-up and builds must agree.
: "${TOE_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/toe}"
# shellcheck disable=SC2034 # used by those who source this
TOE_ROOT=$TOE_CACHE/root
# shellcheck disable=SC2034
TOE_OUT=$TOE_TOP/out
export TOE_CACHE

# One line on the terminal that says what runs now.
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# One line that says what is wrong, and how to mend it.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}
