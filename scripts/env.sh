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
say() {
	if [ -t 2 ]; then
		printf '\033[1m==>\033[0m %s\n' "$*" >&2
	else
		printf '==> %s\n' "$*" >&2
	fi
}

# One line that says what is wrong, and how to mend it.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The release that KERNEL=stock|debug|RELEASE means.
kernel_release() {
	case ${KERNEL-} in
	'' | stock) cat "$TOE_CACHE/kernel.release" 2>/dev/null || die "no kernel is set up: run 'make setup'" ;;
	debug) cat "$TOE_CACHE/debug.release" 2>/dev/null || die "no debug kernel is built: run 'make debug-kernel'" ;;
	*) printf '%s\n' "$KERNEL" ;;
	esac
}

# The folder to build modules for release $1 against, as seen in the toolchain root.
kernel_build() {
	local folder

	for folder in "$TOE_CACHE/kernels/$1/build" "/usr/src/linux-headers-$1"; do
		[ ! -e "$folder/Makefile" ] || { printf '%s\n' "$folder" && return; }
	done
	die "KERNEL=$1 is not set up: run 'make setup KERNEL=$1'"
}

# make_module OUTPUT [VARIABLE=VALUE...]: builds toe.ko for KERNEL in that folder. In the toolchain root.
make_module() {
	local release folder output=$1 args=("${@:2}")

	release=$(kernel_release) && folder=$(kernel_build "$release") || return
	case $release in
	*-toe-debug) args+=(LLVM=1) ;;
	esac
	mkdir -p "$output"
	make -C "$folder" "M=$TOE_TOP" "MO=$output" "${args[@]}" "-j$(nproc)" --no-print-directory modules
}
