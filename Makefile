# SPDX-License-Identifier: GPL-2.0
# Everything that `make` does; `make help` lists it. All but set-up runs in the toolchain root.

IN_ROOT := scripts/in-root
export KERNEL ?= stock

# Those that take long come first.
TESTS := selftests pci faults full lint datapath device tools
TESTS_DEBUG := selftests-debug leaks kunit lint-debug

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  KERNEL=stock|debug|RELEASE chooses the kernel (now: $(KERNEL)); TOE_CACHE the cache (~/.cache/toe)."

setup: ## fetch the toolchain, a kernel and the guest's userland; all targets do this first
	@scripts/setup/setup

modules: setup ## build toe.ko into out/modules-RELEASE, and the tools
	$(IN_ROOT) scripts/build modules tools

tools: setup ## build toetool, toe_run and its library into out/tools
	$(IN_ROOT) scripts/build tools

device: setup ## build the NIC model into out/device
	$(IN_ROOT) scripts/build device

payload: setup ## build all that the guest is given into out/payload-RELEASE
	$(IN_ROOT) scripts/build payload

lint: setup ## check the source: formatting, clippy, shellcheck, checkpatch, no unsafe where it may not be
	$(IN_ROOT) scripts/lint

test: payload device ## all tests but those of the debug kernel; ends with "N passed, N failed"
	@scripts/test $(TESTS)

test-pci: payload device ## all selftests over TOE NICs, on this kernel and the debug kernel
	@KERNEL=debug $(IN_ROOT) scripts/build payload
	@scripts/test selftests-pci selftests-pci-debug

debug-kernel: setup ## build the debug kernel (15 to 40 minutes, once)
	@$(IN_ROOT) --root scripts/setup/debug-kernel

test-debug: debug-kernel ## the same selftests, KUnit and a search for leaks on the debug kernel
	@KERNEL=debug $(IN_ROOT) scripts/build payload
	@scripts/test $(TESTS_DEBUG)

ci: payload device ## what .ci/run does: test, and where the debug kernel is there already the part of test-debug there is time for
	@if $(IN_ROOT) scripts/setup/debug-kernel --check; then \
		KERNEL=debug $(IN_ROOT) scripts/build payload && scripts/test $(TESTS) leaks kunit; \
	else \
		scripts/test $(TESTS); \
	fi

# Of each device: what builds it, and how a virtual machine gets it.
NEEDS = $(if $(filter pci,$(1)),device)
VM_pci := --nic --outside

bench: payload device ## AF_TOE beside kernel TCP: instructions per operation, rates, latencies; out/bench.json
	scripts/bench $(DEVICE)

profile: payload $(call NEEDS,$(DEVICE)) ## where the kernel's instructions go for WORKLOAD (rpc_1, rpc_64, ...): kernel TCP, then AF_TOE
	scripts/vm --name profile --count --smp 1 --profile out/profile --timeout 3600 $(VM_$(DEVICE)) \
		'TOE_DEVICE=$(or $(DEVICE),soft) RUNS=1 /payload/selftests/bench/run.sh $(or $(WORKLOAD),rpc_1) && \
		cat /proc/kallsyms >/out/kallsyms'
	scripts/profile.py out/profile out/kallsyms --operations $(if $(filter rpc_64,$(WORKLOAD)),40000,20000)

demo: DEVICE ?= pci
demo: payload device ## Redis, memcached and nginx over the TOE NIC (DEVICE=soft: over the host's own data-path); out/demo.json
	scripts/vm --name demo $(VM_$(DEVICE)) 'TOE_DEVICE=$(DEVICE) /payload/selftests/demo/run.sh'

demo-wire: payload device ## the same with AF_TOE at both ends: two virtual machines, their NICs joined by a wire; out/demo-wire.json
	scripts/vm --name demo-wire --nic --outside-vm 'cd /payload/selftests && . lib/topology.sh && nic_ready && \
		lib/outside.sh --serve --port' 'TOE_DEVICE=pci TOE_OUTSIDE=toe_run /payload/selftests/demo/run.sh'

shell: payload ## a shell in a virtual machine, with this build in /payload
	scripts/vm --shell

root-shell: setup ## a shell in the toolchain root
	$(IN_ROOT) bash

install: ## install toe.ko and the tools built here on this machine, or below DESTDIR
	scripts/install

clean: ## remove what was built here (not the cache)
	rm -rf out

.PHONY: help setup modules tools device payload lint test test-pci debug-kernel test-debug ci bench profile demo demo-wire shell root-shell install clean
