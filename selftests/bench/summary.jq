# SPDX-License-Identifier: GPL-2.0
# From what was measured, one object a run, to the rows of bench.json: the median
# of the runs of each workload, and their spread. What kernel TCP does over a
# NIC's netdev counts as that device's.

def median: sort | if length == 0 then null else .[length / 2 | floor] end;
def round1: if . == null then null else (. * 10 | round) / 10 end;
def spread: if length == 0 or min == 0 then null else ((max / min - 1) * 1000 | round) / 1000 end;
def all_of(f): map(f | select(. != null));

{
	kernel: $kernel,
	cpus: $cpus,
	rows: [
		group_by([.order, .stack]) | .[]
		| (all_of(.instructions / .operations)) as $instructions
		| (all_of(.operations / .seconds)) as $rate
		| {
			workload: .[0].workload,
			connections: .[0].connections,
			stack: .[0].stack,
			device: (if .[0].stack == "toe" or $device.kind == "pci" then $device.kind else null end),
			datapath: (if .[0].stack == "toe" then $device.datapath else null end),
			instructions_per_op: ($instructions | median | if . == 0 then null else round1 end),
			kernel_instructions_per_op: (all_of(.kernel_instructions / .operations) | median
				| if . == 0 then null else round1 end),
			ops_per_s: ($rate | median | round1),
			p50_us: (all_of(.p50_us) | median),
			p99_us: (all_of(.p99_us) | median),
			p9999_us: (all_of(.p9999_us) | median),
			runs: length,
			instructions_spread: ($instructions | spread),
			ops_spread: ($rate | spread)
		}
	]
}
