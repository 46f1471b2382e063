# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel under QEMU with the guest's userland and this build's payload, and run a command in it.

The guest sees the payload at /payload. What the command prints comes out here as it is printed; its exit status is
this program's; the files it leaves in /out are put in --out. The kernel's console goes to a log of its own, which is
judged at the end: a kernel that complained makes the run fail, whatever the command said."""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ["TOE_CACHE"])
GUEST = TOP / "scripts/guest"

# Exit statuses of this program that are not the guest command's own.
STATUS_KERNEL = 97
STATUS_DIED = 98
STATUS_TIMEOUT = 124

READY = "toe-vm: ready"
COMPLAINT = re.compile(
    r"BUG:|BUG |WARNING:|Oops|KASAN|UBSAN|ODEBUG|kernel BUG|Kernel panic|general protection fault|panicked at"
    r"|possible (recursive|circular|irq lock)|inconsistent lock state|suspicious RCU usage|lockdep|MAX_LOCK"
    r"|detected stalls? on|self-detected stall|blocked for more than|unreferenced object|refcount_t:"
    r"|list_(add|del) corruption|Bad page state|leaked reference|waiting for \S+ to become free"
)


def die(message):
    sys.exit(f"vm: {message}")


class Kernel:
    """What boots, and what the guest needs to go with it."""

    def __init__(self, name):
        self.modules = None
        self.early = []
        self.debug = name == "debug"
        if name in ("stock", ""):
            name = self._read("kernel.release", "no kernel chosen yet")
        if self.debug:
            name = self._read("debug.release", "no debug kernel built yet: run 'make debug-kernel'")
        self.release = name
        folder = CACHE / "kernels" / name
        if (folder / "vmlinuz").exists():
            self.image = folder / "vmlinuz"
            if (folder / "modules.squashfs").exists():
                self.modules = folder / "modules.squashfs"
            self.early = sorted((folder / "early").glob("*.ko"))
        elif os.path.isfile(name):
            self.image = pathlib.Path(name).resolve()
        else:
            die(f"KERNEL={name} is neither stock, debug, a kernel that is set up nor a file; set up a release with "
                f"'make setup KERNEL={name}'")

    @staticmethod
    def _read(name, problem):
        try:
            return (CACHE / name).read_text().strip()
        except OSError:
            die(f"{problem}; 'make setup' mends it")


def initramfs(kernel, work):
    tree = work / "initramfs"
    (tree / "bin").mkdir(parents=True)
    (tree / "early").mkdir()
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    shutil.copy(GUEST / "early-init", tree / "init")
    for module in kernel.early:
        shutil.copy(module, tree / "early")
    image = work / "initramfs.cpio"
    names = "\n".join(str(p.relative_to(tree)) for p in sorted(tree.rglob("*")))
    with open(image, "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=names.encode(), stdout=out, check=True)
    return image


def payload(args, work):
    """The topmost layer of the guest's root: the build's products and what this run does with them."""
    tree = work / "tree"
    (tree / "toe-vm").mkdir(parents=True)
    shutil.copy(GUEST / "init", tree / "toe-vm/init")
    (tree / "toe-vm/command").write_text(shlex.join(args.command) + "\n" if len(args.command) != 1 else args.command[0] + "\n")
    if args.shell:
        (tree / "toe-vm/interactive").touch()
    if args.kmemleak:
        (tree / "toe-vm/kmemleak").touch()
    if args.payload.is_dir():
        shutil.copytree(args.payload, tree / "payload", symlinks=True)
    else:
        (tree / "payload").mkdir()
    image = work / "payload.squashfs"
    subprocess.run(["mksquashfs", tree, image, "-noappend", "-quiet", "-no-progress", "-all-root", "-comp", "zstd",
                    "-Xcompression-level", "1"], check=True, stdout=subprocess.DEVNULL)
    return image


def accelerator(choice):
    """TCG unless KVM is there and boots a guest in reasonable time; found out once."""
    if choice != "auto":
        return choice
    answer = CACHE / "accel"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    if not answer.exists():
        answer.write_text("kvm\n" if kvm_works() else "tcg\n")
    return answer.read_text().strip()


def kvm_works():
    kernel = Kernel("stock")
    with tempfile.TemporaryDirectory() as work:
        tree = pathlib.Path(work)
        (tree / "init").write_text("#!/bin/busybox sh\n/bin/busybox poweroff -f\n")
        (tree / "init").chmod(0o755)
        (tree / "bin").mkdir()
        shutil.copy("/bin/busybox", tree / "bin/busybox")
        with open(tree / "cpio", "wb") as out:
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=b"init\nbin\nbin/busybox\n",
                           stdout=out, check=True)
        try:
            return subprocess.run(
                ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-M", "q35", "-m", "512", "-nodefaults",
                 "-display", "none", "-no-reboot", "-kernel", kernel.image, "-initrd", tree / "cpio",
                 "-append", "quiet panic=-1"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10,
            ).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def disk(name, path):
    return ["-drive", f"if=none,id={name},file={path},format=raw,readonly=on",
            "-device", f"virtio-blk-pci,drive={name},serial={name}"]


NIC_TAP = "toe0"
# This side's addresses of the network that a NIC's port is connected to. The guest's own are its to choose.
NIC_ADDRESSES = ["192.168.77.1/24", "fd77::1/64"]


def enter_namespace():
    """A network of this run's own, for the NIC's port and whoever talks to the guest through it."""
    flags = os.CLONE_NEWNET
    if os.geteuid() != 0:
        flags |= os.CLONE_NEWUSER
    uid, gid = os.getuid(), os.getgid()
    os.unshare(flags)
    if flags & os.CLONE_NEWUSER:
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    ip("link", "set", "lo", "up")


def ip(*arguments):
    subprocess.run(["busybox", "ip", *arguments], check=True)


class Nic:
    """A process of the TOE NIC's model. What it takes on its control socket, the guest may write to the virtio port
    that is called nic and the NIC's number."""

    def __init__(self, number, port, args, work):
        self.name = f"nic{number}"
        self.number = number
        self.socket = work / self.name
        self.control = work / f"{self.name}.control"
        log = TOP / f"out/log/{args.name}.{self.name}"
        program = TOP / "out/device/toe-nic"
        if not program.exists():
            die(f"{program} is not there: 'make device' builds it")
        options = ["--control", self.control, "--mac", f"02:74:6f:65:00:{number + 1:02x}", *port,
                   *shlex.split(args.nic_options)]
        with open(log, "wb") as out:
            self.process = subprocess.Popen([program, self.socket, *options],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 10
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                die(f"toe-nic didn't start: {log.read_text(errors='replace').strip()}")
            time.sleep(0.01)

    def qemu(self):
        device = {"driver": "vfio-user-pci", "bus": f"{self.name}-port",
                  "socket": {"type": "unix", "path": str(self.socket)},
                  # Milliseconds. QEMU crashes if an answer comes as it gives up waiting: after 5 s if not told otherwise.
                  "x-msg-timeout": 60000}
        return ["-device", f"pcie-root-port,id={self.name}-port,chassis={self.number + 1}",
                "-device", json.dumps(device),
                "-chardev", f"socket,id={self.name}-control,path={self.control}",
                "-device", f"virtserialport,chardev={self.name}-control,name={self.name}"]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def start_nics(args, work):
    """The NICs that the guest is to have."""
    if args.nic_pair:
        return [Nic(number, ["--wire", work / "wire"], args, work) for number in range(2)]
    if args.serve:
        return [Nic(1, ["--wire", args.serve], args, work)]
    if args.outside_vm:
        return [Nic(0, ["--wire", work / "wire"], args, work)]
    enter_namespace()
    nic = Nic(0, ["--tap", NIC_TAP], args, work)
    for address in NIC_ADDRESSES:
        ip("address", "add", address, "dev", NIC_TAP)
    ip("link", "set", NIC_TAP, "up")
    return [nic]


def peer(command, log):
    """A program on this side of the NIC's port, which ends with the guest."""
    with open(log, "wb") as out:
        return subprocess.Popen(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, start_new_session=True)


class Outside:
    """The virtio port by which a guest's selftests/lib/outside.sh asks for what others carry out."""

    def __init__(self, port):
        self.port = port

    def qemu(self):
        return ["-chardev", f"socket,id=outside,fd={self.port.fileno()}",
                "-device", "virtserialport,chardev=outside,name=outside"]


def outside(args, work, log):
    """The port of this guest, and who carries out what it asks for, if anybody has to be started for that."""
    if args.serve:
        return Outside(socket.socket(fileno=os.dup(0))), None
    ours, theirs = socket.socketpair()
    command = [GUEST / "outside", args.payload]
    if args.outside_vm:
        command = [sys.executable, __file__, "--serve", work / "wire", "--nic", "--name", f"{args.name}-outside",
                   "--kernel", args.kernel, "--payload", args.payload, "--timeout", str(args.timeout),
                   "--out", work / "outside", args.outside_vm]
    with open(log, "wb") as out, theirs:
        process = subprocess.Popen(command, stdin=theirs, stdout=out if args.outside_vm else theirs, stderr=out,
                                   start_new_session=True)
    return Outside(ours), process


def qemu(args, kernel, work, console, nics):
    accel = "tcg" if args.count else accelerator(args.accel)
    append = ["console=ttyS0", "quiet", "loglevel=7", "panic=-1", "oops=panic", "sysrq_always_enabled",
              # A busy host makes the watchdog distrust the emulated TSC, and every other clock is slow to read.
              "tsc=reliable",
              "watchdog_thresh=60", "rcupdate.rcu_cpu_stall_timeout=120", "net.ifnames=0"]
    if kernel.debug:
        append += ["kasan_multi_shot"]
        append += ["kmemleak=on"] if args.kmemleak else ["kmemleak=off", "no_debug_objects"]
    command = [
        "qemu-system-x86_64", "-M", "q35", "-m", str(args.memory), "-smp", str(args.smp),
        "-accel", "tcg,thread=multi,tb-size=512" if accel == "tcg" else accel,
        # With five levels of page tables, KASAN under TCG reports wild accesses at 0.01 s, one boot in four.
        "-cpu", "max,la57=off" if accel == "tcg" else "host",
        "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", kernel.image, "-initrd", initramfs(kernel, work),
        "-append", " ".join(append + args.append),
        "-qmp", f"unix:{work}/qmp,server=on,wait=off",
        "-chardev", f"socket,id=console,path={work}/console,server=on,wait=off,logfile={console}",
        "-serial", "chardev:console",
        "-chardev", f"file,id=out,path={work}/out.tar",
        # Not a stdio chardev where nothing is typed: at the end of its input it counts as unplugged.
        "-chardev", "stdio,id=stdio,signal=off" if args.shell else "file,id=stdio,path=/proc/self/fd/1",
        "-device", "virtio-rng-pci",
        "-device", "virtio-serial-pci",
        "-device", "virtserialport,chardev=out,name=out",
        "-device", "virtconsole,chardev=stdio" if args.shell else "virtserialport,chardev=stdio,name=stdout",
    ]
    command += disk("guest", CACHE / "guest.squashfs") + disk("payload", payload(args, work))
    if kernel.modules:
        command += disk("modules", kernel.modules)
    if args.virtio:
        for name in "ab":
            command += ["-netdev", f"hubport,id=nic-{name},hubid=0", "-device", f"virtio-net-pci,netdev=nic-{name}"]
    if args.count:
        profile = f",profile={args.profile.resolve()}" if args.profile else ""
        command += ["-plugin", f"{TOP}/out/qemu/icount.so{profile}"]
    if nics:
        # Theirs to reach, too.
        command += ["-object", f"memory-backend-memfd,id=ram,size={args.memory},share=on",
                    "-machine", "memory-backend=ram"]
    for nic in nics:
        command += nic.qemu()
    if args.outside:
        command += args.outside.qemu()
    for extra in args.qemu:
        command += shlex.split(extra)
    return [str(c) for c in command]


def dump_tasks(work):
    """Have the guest's kernel write to its console what it is doing: blocked tasks, then every CPU's backtrace."""
    try:
        with socket.socket(socket.AF_UNIX) as qmp, socket.socket(socket.AF_UNIX) as console:
            qmp.settimeout(5)
            qmp.connect(f"{work}/qmp")
            console.connect(f"{work}/console")
            send = [{"execute": "qmp_capabilities"}]
            for key in "wl":
                send = send + [{"execute": "chardev-send-break", "arguments": {"id": "console"}}]
                for message in send:
                    qmp.sendall(json.dumps(message).encode() + b"\n")
                    qmp.recv(4096)
                send = []
                time.sleep(0.5)
                console.sendall(key.encode())
                time.sleep(3)
    except OSError:
        pass


def run(args, command, work):
    """Run QEMU and pass the guest's output on; true if it ended by itself in time."""
    if args.shell:
        return subprocess.run(command, check=False).returncode == 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          pass_fds=[args.outside.port.fileno()] if args.outside else []) as process:
        expired = threading.Event()

        def expire():
            expired.set()
            dump_tasks(work)
            process.kill()

        errors = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read().decode(errors="replace")))
        reader.start()
        timer = threading.Timer(args.timeout, expire)
        timer.start()
        try:
            while chunk := process.stdout.read1(65536):
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            process.wait()
        finally:
            timer.cancel()
            process.kill()
            reader.join()
        if errors[0]:
            print(errors[0], end="", file=sys.stderr)
        if process.returncode != 0 and not expired.is_set():
            print(f"vm: QEMU itself failed (status {process.returncode})", file=sys.stderr)
        return not expired.is_set()


def collect(work, out):
    """Put the guest's /out in place; its command's exit status, or None if it didn't get that far."""
    try:
        with tarfile.open(work / "out.tar") as archive:
            out.mkdir(parents=True, exist_ok=True)
            status = None
            for member in archive.getmembers():
                if member.name == "./.status":
                    status = int(archive.extractfile(member).read())
                elif member.name != ".":
                    archive.extract(member, out, filter="data")
            return status
    except (OSError, tarfile.TarError, ValueError):
        return None


def complaints(console):
    """The lines after userland started that say that something is wrong in the kernel."""
    lines = console.read_text(errors="replace").splitlines() if console.exists() else []
    start = next((i for i, line in enumerate(lines) if READY in line), 0)
    return [line for line in lines[start:] if COMPLAINT.search(line)]


def tail(path, count):
    lines = path.read_text(errors="replace").splitlines() if path.exists() else ["(empty)"]
    return "\n".join("  | " + line for line in lines[-count:])


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/vm", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="*", help="what to run; one argument is a shell command line")
    parser.add_argument("--kernel", default=os.environ.get("KERNEL", "stock"),
                        help="stock, debug, a release that is set up, or an image's path (default: $KERNEL or stock)")
    parser.add_argument("--shell", action="store_true", help="an interactive shell instead of a command")
    parser.add_argument("--smp", type=int, default=2, help="CPUs (default %(default)s)")
    parser.add_argument("--memory", default="3G", help="RAM (default %(default)s)")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds until it counts as hung (default 1200)")
    parser.add_argument("--payload", type=pathlib.Path, help="folder to show at /payload (default out/payload-RELEASE)")
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "out", help="where the guest's /out goes (default out/)")
    parser.add_argument("--name", default="vm", help="name of this run's log, out/log/NAME.console (default vm)")
    parser.add_argument("--accel", default=os.environ.get("TOE_ACCEL", "auto"), choices=["auto", "tcg", "kvm"])
    parser.add_argument("--append", action="append", default=[], help="more kernel command line")
    parser.add_argument("--qemu", action="append", default=[], help="more QEMU arguments, in one string")
    parser.add_argument("--virtio", action="store_true", help="two virtio-net NICs, joined by a wire")
    parser.add_argument("--nic", action="store_true",
                        help=f"a TOE NIC (its driver is toe.ko), connected to an interface with {NIC_ADDRESSES[0]}")
    parser.add_argument("--nic-pair", action="store_true", help="two TOE NICs, joined by a wire")
    parser.add_argument("--nic-options", default="", help="more options for toe-nic, in one string")
    parser.add_argument("--peer", action="append", default=[],
                        help="run a shell command beside the guest, in the network that the NIC is connected to")
    parser.add_argument("--outside", action="store_true",
                        help="have what the guest gives to selftests/lib/outside.sh run there")
    parser.add_argument("--outside-vm", metavar="COMMAND",
                        help="the same, in a second virtual machine at the end of the NIC's wire, whose command this is")
    parser.add_argument("--serve", type=pathlib.Path, metavar="WIRE", help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true",
                        help="count instructions (selftests/bench/icount.h asks for them); implies --accel tcg")
    parser.add_argument("--profile", type=pathlib.Path,
                        help="with --count: where the kernel's instructions go, for scripts/profile.py")
    parser.add_argument("--kmemleak", action="store_true", help="with the debug kernel: look for leaks at the end")
    parser.add_argument("--console", action="store_true", help="print the kernel's console at the end too")
    args = parser.parse_args()
    if bool(args.command) == args.shell:
        parser.error("give a command, or --shell")
    if args.nic and args.nic_pair:
        parser.error("--nic and --nic-pair exclude each other")
    if (args.peer or args.outside or args.outside_vm or args.serve) and not args.nic:
        parser.error("--peer and --outside need --nic")
    return args


def main():
    args = arguments()
    kernel = Kernel(args.kernel)
    if args.payload is None:
        args.payload = TOP / f"out/payload-{kernel.release}"
    if not (CACHE / "guest.squashfs").exists():
        die("no guest image yet: run 'make setup'")
    log = TOP / "out/log"
    log.mkdir(parents=True, exist_ok=True)
    console = log / f"{args.name}.console"
    console.unlink(missing_ok=True)

    with tempfile.TemporaryDirectory(prefix="toe-vm.") as folder:
        work = pathlib.Path(folder)
        peers, nics = [], []
        try:
            if args.nic or args.nic_pair:
                nics = start_nics(args, work)
            peers = [peer(command, log / f"{args.name}.peer{i}") for i, command in enumerate(args.peer)]
            if args.outside or args.outside_vm or args.serve:
                args.outside, process = outside(args, work, log / f"{args.name}.outside")
                peers += [process] if process else []
            in_time = run(args, qemu(args, kernel, work, console, nics), work)
        finally:
            for process in peers:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
            for nic in nics:
                nic.stop()
        status = collect(work, args.out)

    if args.console and console.exists():
        print(console.read_text(errors="replace"), end="", file=sys.stderr)
    found = complaints(console)
    if found:
        print(f"vm: the kernel complained, {len(found)} lines, the first of them:", file=sys.stderr)
        print("\n".join("  | " + line for line in found[:10]), file=sys.stderr)
        print(f"vm: the whole console is in {console}", file=sys.stderr)
    if not in_time:
        print(f"vm: nothing came to an end in {args.timeout:g} s; the console's last lines ({console}):\n"
              f"{tail(console, 60)}", file=sys.stderr)
        sys.exit(STATUS_TIMEOUT)
    if status is None and not args.shell:
        print(f"vm: the guest stopped before its command ended; the console's last lines ({console}):\n"
              f"{tail(console, 60)}", file=sys.stderr)
        sys.exit(STATUS_DIED)
    sys.exit(STATUS_KERNEL if found else status or 0)


if __name__ == "__main__":
    main()
