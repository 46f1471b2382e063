# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian trixie by mmdebstrap, from the mirror this machine already uses. Sourced by the set-up steps.

# Print the address the machine's apt has for packages labelled $1 ("Debian", "Debian-Security"); nothing where
# it has none (Ubuntu, or no configuration).
# shellcheck disable=SC2016 # $(LABEL) and the like are apt's
mirror_of() {
	local site file

	site=$(apt-get indextargets --format '$(LABEL)|$(ORIGIN)|$(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v label="$1" '$1 == label && $2 == "Debian" { print $3; exit }')
	case $site in
	http://* | https://*) printf '%s\n' "$site" ;;
	mirror+file:*)
		file=${site#mirror+file:}
		awk '/^https?:/ { print $1; exit }' "/${file##/}" 2>/dev/null || true
		;;
	esac
}

# toe_mmdebstrap TARGET PACKAGES [OPTION...]: trixie with its security updates and backports. TARGET is a folder, or -
# for a tar on standard output. Nothing comes from backports unless asked for by name.
toe_mmdebstrap() {
	local target=$1 packages=$2 main security proxy
	local options=(--variant=minbase "--include=$packages" '--aptopt=APT::Install-Recommends "false"'
		'--aptopt=Acquire::Languages "none"' '--aptopt=Acquire::Retries "3"')
	local sources=()
	shift 2

	# Ubuntu's apt doesn't trust Debian's keys by itself.
	options+=(--keyring=/usr/share/keyrings/debian-archive-keyring.gpg)
	for scheme in http https; do
		proxy=$(apt-config shell p "Acquire::$scheme::Proxy" | sed -n "s/^p='\(.*\)'$/\1/p")
		[ -z "$proxy" ] || options+=("--aptopt=Acquire::$scheme::Proxy \"$proxy\"")
	done

	main=$(mirror_of Debian)
	security=$(mirror_of Debian-Security)
	if [ -n "$main" ] && [ -n "$security" ]; then
		sources=("deb $main trixie main" "deb $main trixie-updates main"
			"deb $security trixie-security main" "deb $main trixie-backports main")
	else
		# shellcheck disable=SC2016 # expanded by mmdebstrap's shell
		options+=('--setup-hook=sed -n "s/^deb \(.*\) trixie main$/deb \1 trixie-backports main/p" \
			"$1/etc/apt/sources.list" >"$1/etc/apt/sources.list.d/backports.list"')
	fi
	mmdebstrap --mode=root "${options[@]}" "$@" trixie "$target" ${sources[0]+"${sources[@]}"}
}
