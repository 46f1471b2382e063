#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the kernel's instructions went, function by function, in what the guest had counted.

A program that measures asks for the count before and after (selftests/bench/icount.h): each pair of answers in the
profile becomes a table."""

import argparse
import bisect
import collections


def symbols(path):
    """Addresses and names of the kernel's functions, in order."""
    found = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                found.setdefault(int(address, 16), " ".join([name, *module]))
    return sorted(found.items())


def measured(path):
    """Of every second answer, what was executed since the one before: instructions by address."""
    answers = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line == "answer\n":
                answers.append({})
            else:
                address, count = line.split()
                answers[-1][int(address, 16)] = int(count)
    return answers[1::2]


def main():
    parser = argparse.ArgumentParser(prog="scripts/profile.py", description=__doc__)
    parser.add_argument("profile", help="what scripts/vm --count --profile wrote")
    parser.add_argument("kallsyms", help="the guest's /proc/kallsyms")
    parser.add_argument("--operations", type=int, default=1, help="done in each measurement (default %(default)s)")
    parser.add_argument("--top", type=int, default=40, help="functions to show (default %(default)s)")
    args = parser.parse_args()

    table = symbols(args.kallsyms)
    addresses = [address for address, _ in table]
    for number, counts in enumerate(measured(args.profile), 1):
        functions = collections.Counter()
        for address, count in counts.items():
            at = bisect.bisect_right(addresses, address) - 1
            functions[table[at][1] if at >= 0 else "?"] += count
        total = sum(functions.values())
        print(f"measurement {number}: {total / args.operations:.0f} kernel instructions per operation")
        for name, count in functions.most_common(args.top):
            print(f"{count / args.operations:10.1f} {100 * count / total:5.1f} %  {name}")


if __name__ == "__main__":
    main()
