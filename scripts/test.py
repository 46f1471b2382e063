# SPDX-License-Identifier: GPL-2.0
"""Run groups of tests, show their results as they come, and end with the line "N passed, N failed".

Understood are KTAP documents, nested as they may be, what cargo test prints, and `NAME: ok` lines of plain programs. A
command that fails without a failed test to show for it counts as one failed test, so that nothing fails in silence."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
OUT = TOP / "out"

KTAP_RESULT = re.compile(r"^(\s*)(ok|not ok) (\d+)(?: (?:- )?([^#]*?))?\s*(?:#\s*(.*))?$")
KTAP_NAME = re.compile(r"^(\s*)# Subtest: (.+)$")
KTAP_PLAN = re.compile(r"^(\s*)1\.\.(\d+)\s*(?:#\s*(.*))?$")
CARGO_RESULT = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)\b")
CARGO_BINARY = re.compile(r"^\s+(?:Running|Doc-tests) (?:unittests )?(\S+)")
PLAIN_RESULT = re.compile(r"^([\w./-]+): ok$")
DETAIL_LINES = 60

# From here on, scripts/vm says that the kernel complained, that the guest died, or that it hung.
STATUS_OF_VM = 97

# Virtual machines that share the selftests.
PARTS = 2


class Results:
    """What came of every test."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failures = []
        self.lock = threading.Lock()


class Report:
    """What came of one command's tests."""

    def __init__(self, results):
        self.results = results
        self.tests = 0
        self.failed = 0
        self.shown = None

    def show(self, verdict, what):
        """One line, with the seconds since the line before where they are worth a look."""
        now = time.monotonic()
        seconds = now - (self.shown or now)
        self.shown = now
        print(f"{verdict:7} {what}{f' ({seconds:.0f} s)' if seconds >= 5 else ''}\n", end="", flush=True)
        self.tests += 1

    def ok(self, name):
        with self.results.lock:
            self.results.passed += 1
            self.show("ok", name)

    def skip(self, name, why):
        with self.results.lock:
            self.results.skipped += 1
            self.show("skip", f"{name}{': ' + why if why else ''}")

    def fail(self, name, detail):
        with self.results.lock:
            self.results.failures.append((name, detail))
            self.failed += 1
            self.show("FAILED", name)


class Level:
    """A KTAP document that is being read."""

    def __init__(self, indent):
        self.indent = indent
        self.name = None
        self.plan = None
        self.seen = 0
        self.failed_inside = 0
        self.detail = []


class Ktap:
    """Reads KTAP line by line. Counted are the leaves; a document's own result counts only when it says that
    something failed and no leaf did, as do tests that were planned and never came."""

    def __init__(self, group, report):
        self.group = group
        self.report = report
        self.levels = []

    def line(self, line):
        named, plan, result = KTAP_NAME.match(line), KTAP_PLAN.match(line), KTAP_RESULT.match(line)
        if not named and not plan and not result:
            if self.levels and line.strip() and "KTAP version" not in line:
                self.levels[-1].detail.append(line.strip())
            return
        indent = len((named or plan or result)[1])
        inner = []
        while self.levels and self.levels[-1].indent > indent:
            inner.append(self.levels.pop())
        if not self.levels or self.levels[-1].indent < indent:
            self.levels.append(Level(indent))
        if named:
            self.levels[-1].name = named[2]
        elif plan:
            self.levels[-1].plan = int(plan[2])
        else:
            self.result(result, inner)

    def result(self, match, inner):
        level = self.levels[-1]
        level.seen += 1
        _, verdict, number, name, directive = match.groups()
        leaf = not inner
        # The deepest document was closed first; each carries what failed in it outwards.
        failed_inside = 0
        detail = []
        for document in inner:
            failed_inside += document.failed_inside
            detail += document.detail
            failed_inside += self.missing(document, name or number)
        detail += level.detail
        level.detail = []
        full = "/".join([self.group, *(outer.name for outer in self.levels if outer.name), name or number])
        if leaf:
            if directive and directive.upper().startswith("SKIP"):
                self.report.skip(full, directive[4:].strip())
            elif verdict == "ok":
                self.report.ok(full)
            else:
                self.report.fail(full, detail)
                failed_inside += 1
        elif verdict != "ok" and not failed_inside:
            self.report.fail(full, detail)
            failed_inside += 1
        level.failed_inside += failed_inside

    def missing(self, document, name):
        """Planned tests that never came."""
        if document.plan is None or document.seen >= document.plan:
            return 0
        self.report.fail(f"{self.group}/{name}: {document.seen} of {document.plan} tests ran", document.detail)
        return 1

    def end(self):
        while self.levels:
            self.missing(self.levels.pop(), "plan")


class Cargo:
    """Reads the output of cargo test, and of plain programs that print `NAME: ok`."""

    def __init__(self, group, report):
        self.group = group
        self.report = report
        self.binary = ""
        self.failed = {}
        self.section = None

    def line(self, line):
        if match := CARGO_BINARY.match(line):
            self.binary = pathlib.Path(match[1]).stem + "/" if "tests/" in match[1] else ""
        elif match := CARGO_RESULT.match(line):
            name = f"{self.group}/{self.binary}{match[1]}"
            if match[2] == "ok":
                self.report.ok(name)
            elif match[2] == "ignored":
                self.report.skip(name, "")
            else:
                self.failed[match[1]] = (name, [])
        elif match := re.match(r"^---- (.+?) stdout ----$", line):
            self.section = match[1]
        elif line.startswith("failures:"):
            self.section = None
        elif match := PLAIN_RESULT.match(line):
            self.report.ok(f"{self.group}/{match[1]}")
        elif self.section in self.failed:
            self.failed[self.section][1].append(line)

    def end(self):
        for name, detail in self.failed.values():
            self.report.fail(name, detail)


def run(reader, command, report, log):
    """Run a command, feed what it prints to the reader, and keep it."""
    name = log.stem.removeprefix("test-")
    print(f"--- {name}: {shlex.join(command)}\n", end="", flush=True)
    start = time.monotonic()
    tail = []
    with open(log, "w", encoding="utf-8") as kept:
        with subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace") as process:
            for line in process.stdout:
                kept.write(line)
                tail = tail[-DETAIL_LINES:] + [line.rstrip("\n")]
                reader.line(line.rstrip("\n"))
        reader.end()
    # The kernel's complaints count beside the tests that failed because of them.
    if process.returncode >= STATUS_OF_VM or (process.returncode and not report.failed):
        report.fail(f"{name}: ended with status {process.returncode}", tail)
    elif not report.tests:
        report.fail(f"{name}: no test ran", tail)
    print(f"--- {name}: {time.monotonic() - start:.0f} s, all output in {log.relative_to(TOP)}\n", end="", flush=True)


def in_vm(kernel, name, seconds, *command):
    return ["scripts/vm", "--kernel", kernel, "--name", name, "--timeout", str(seconds), *command]


def selftests(kernel, name, seconds, patterns, environment="", nics="--virtio"):
    """The suites, divided between virtual machines: much of a suite is waiting."""
    run = f"{environment}/payload/selftests/run.sh "
    if patterns:
        return [in_vm(kernel, name, seconds, nics, run + shlex.join(patterns))]
    return [in_vm(kernel, f"{name}-{part}", seconds, nics, f"{run}--part {part}/{PARTS}") for part in range(1, PARTS + 1)]


# What the model of the NIC can do in reasonable time.
PCI = "TOE_DEVICE=pci TOE_TEST_BYTES=4M TOE_TEST_DIVISOR=20 "

# The suites over the NIC that `make test` has the time for.
PCI_SOME = ["netdev", "programs", "sockets/toe-tcp", "connections/toe-tcp", "transfer/toe-toe", "beside"]

# How many connections at once there is time for where the kernel does it all, or is slow.
FEWER = "TOE_TEST_CROWD=1000 "


def groups(args):
    """All groups of tests: what reads their output, and the commands."""
    kunit = "insmod /payload/toe.ko && cat /sys/kernel/debug/kunit/*/results"
    leaks = "/payload/selftests/run.sh sockets/toe-toe sockets/toe-tcp-fallback"
    return {
        "lint": (Ktap, [["scripts/lint"]]),
        "datapath": (Cargo, [["cargo", "test", "--locked", "--manifest-path", "datapath/Cargo.toml",
                              "--target-dir", f"{OUT}/cargo/datapath"]]),
        "device": (Cargo, [["cargo", "test", "--locked", "--manifest-path", "device/Cargo.toml",
                            "--target-dir", f"{OUT}/cargo/device"]]),
        "tools": (Cargo, [["make", "-C", "userspace-tools", f"TARGET_DIR={OUT}/cargo/tools", "--no-print-directory",
                           "check"]]),
        "selftests": (Ktap, selftests(args.kernel, "selftests", 4200, args.patterns, FEWER)),
        "faults": (Ktap, [in_vm(args.kernel, "faults", 1200, "--nic", "--outside", "/payload/selftests/faults.sh 6")]),
        "full": (Ktap, [in_vm(args.kernel, "full", 600, "--nic-pair", "--nic-options=--connections=300 --entries=64",
                              PCI + "/payload/selftests/crowd.sh toe toe 'table_full*' rings_full")]),
        "pci": (Ktap, selftests(args.kernel, "pci", 4200, args.patterns or PCI_SOME, PCI, "--nic-pair")),
        "selftests-pci": (Ktap, selftests(args.kernel, "selftests-pci", 7200, args.patterns, PCI, "--nic-pair")),
        "selftests-pci-debug": (Ktap, selftests("debug", "selftests-pci-debug", 7200, args.patterns, PCI + FEWER, "--nic-pair")),
        "lint-debug": (Ktap, [["env", "KERNEL=debug", "scripts/lint", "clippy_module"]]),
        "kunit": (Ktap, [in_vm("debug", "kunit", 300, kunit)]),
        "selftests-debug": (Ktap, selftests("debug", "selftests-debug", 7200, args.patterns, "TOE_TEST_DIVISOR=8 " + FEWER)),
        "leaks": (Ktap, [in_vm("debug", "leaks", 3600, "--kmemleak", leaks)]),
    }


def main():
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument("groups", nargs="+", help="lint, datapath, device, tools, selftests, pci (some of the selftests over "
                        "TOE NICs), selftests-pci (all of them), full, faults, lint-debug, kunit, selftests-debug, selftests-pci-debug, leaks")
    parser.add_argument("--kernel", default=os.environ.get("KERNEL") or "stock",
                        help="for the groups selftests, pci, selftests-pci, full and faults")
    parser.add_argument("--jobs", type=int, default=3, help="commands to run at once (default %(default)s)")
    parser.add_argument("--patterns", nargs="*", default=[], help="names of selftest suites (default all)")
    args = parser.parse_args()

    logs = OUT / "log"
    logs.mkdir(parents=True, exist_ok=True)
    results = Results()
    table = groups(args)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = []
        for name in args.groups:
            if name not in table:
                sys.exit(f"test: there is no group {name}; there are {', '.join(table)}")
            reader, commands = table[name]
            for number, command in enumerate(commands, 1):
                part = f"-{number}" if len(commands) > 1 else ""
                report = Report(results)
                jobs.append(pool.submit(run, reader(name, report), command, report, logs / f"test-{name}{part}.log"))
        for finished in jobs:
            finished.result()

    for name, detail in results.failures:
        print(f"\nFAILED {name}")
        if len(detail) > DETAIL_LINES:
            print(f"  | ({len(detail) - DETAIL_LINES} lines before)")
        for line in detail[-DETAIL_LINES:]:
            print(f"  | {line}")
    if results.skipped:
        print(f"\n{results.skipped} skipped")
    failed = len(results.failures)
    print(f"{results.passed} passed, {failed} failed", flush=True)
    sys.exit(0 if results.passed and not failed else 1)


if __name__ == "__main__":
    main()
