# SPDX-License-Identifier: GPL-2.0
# Everything that `make` does; `make help` lists it. All but set-up runs in the toolchain root.

IN_ROOT := scripts/in-root
export KERNEL ?= stock

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  KERNEL=stock|debug|RELEASE chooses the kernel (now: $(KERNEL)); TOE_CACHE the cache (~/.cache/toe)."

setup: ## fetch the toolchain, a kernel and the guest's userland; all targets do this first
	@scripts/setup/all

modules: setup ## build toe.ko into out/modules-RELEASE
	$(IN_ROOT) scripts/build modules

tools: setup ## build toetool, toe_run and its library into out/tools
	$(IN_ROOT) scripts/build tools

payload: setup ## build all that the guest is given into out/payload-RELEASE
	$(IN_ROOT) scripts/build payload

vm: payload ## a shell in a virtual machine with this build in /payload
	scripts/vm --shell

shell: setup ## a shell in the toolchain root
	$(IN_ROOT) bash

clean: ## remove what was built here (not the cache)
	rm -rf out

.PHONY: help setup modules tools payload vm shell clean
