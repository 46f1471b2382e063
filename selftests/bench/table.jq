# SPDX-License-Identifier: GPL-2.0
# bench.json as a table: kernel TCP, AF_TOE, and AF_TOE relative to kernel TCP.

def left(width): . + (" " * width) | .[:width];
def right(width): (" " * width) + . | .[-width:];
def number: if . == null then "-" else (. | round | tostring) end;
def ratio($a; $b): if $a == null or $b == null or $b == 0 then "-"
	else ($a / $b * 100 | round | tostring | if length < 3 then ("00" + .)[-3:] else . end
		| .[:-2] + "." + .[-2:]) end;
def line($name; $tcp; $toe; $spread): "  \($name | left(22))\($tcp | number | right(12))"
	+ "\($toe | number | right(12))\(ratio($toe; $tcp) | right(9))\($spread | right(16))";
def percent: if . == null then "-" else "\(. * 100 | round)%" end;

.rows | group_by([.workload, .connections]) | .[]
| (map(select(.stack == "tcp"))[0]) as $tcp | (map(select(.stack == "toe"))[0]) as $toe
| "\(.[0].workload), \(.[0].connections) connection\(if .[0].connections == 1 then "" else "s" end)",
  line("instructions/op"; $tcp.instructions_per_op; $toe.instructions_per_op;
	"\($tcp.instructions_spread | percent) / \($toe.instructions_spread | percent)"),
  line("  of them kernel"; $tcp.kernel_instructions_per_op; $toe.kernel_instructions_per_op; ""),
  line("operations/s"; $tcp.ops_per_s; $toe.ops_per_s;
	"\($tcp.ops_spread | percent) / \($toe.ops_spread | percent)"),
  (if $tcp.p50_us == null then empty else
  line("p50 us"; $tcp.p50_us; $toe.p50_us; ""),
  line("p99 us"; $tcp.p99_us; $toe.p99_us; ""),
  line("p99.99 us"; $tcp.p9999_us; $toe.p9999_us; "") end)
