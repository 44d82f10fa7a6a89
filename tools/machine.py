#!/usr/bin/env python3
"""A whole machine for trying the deployment: Debian 13 with a kernel, a boot partition and ssh.

    tools/machine.py build [--arch arm64]     the image, once; needs root
    tools/machine.py create DIR [--memory 4096] [--music FOLDER] [--arch arm64] [--engine kvm]
    tools/machine.py start DIR                switch it on, and wait until all has started;
                                              with --memory 2048, or --without-music
    tools/machine.py ssh DIR COMMAND …        as user pi
    tools/machine.py off DIR                  shut it down, as an owner does
    tools/machine.py cut DIR                  pull the plug
    tools/machine.py describe DIR             how it is reached, as JSON

Three engines can run it; without --engine the first that works is taken:

    kvm       QEMU, at the host's speed
    uml       User-mode Linux, a kernel that runs as a process; slow at starting programs
    emulated  QEMU without help from the host's processor: thirty to fifty times slower

As on a Raspberry Pi, /boot/firmware is FAT, and the memory controller is off unless the command
line there says otherwise: `firmware` below does what the Pi's does with `cmdline.txt`.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backend-worker/machine"
KEY = CACHE / "id_ed25519"
UML = Path("/usr/bin/linux.uml")
UML_MODULES = Path("/usr/lib/uml/modules")
DISKS = ("root", "firmware", "music")
HOST_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
FIRST_COMMAND_LINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=1a2b3c4d-02 rootfstype=ext4 "
    "fsck.repair=yes rootwait\n"
)
# Raspberry Pi OS: systemd, ssh, Python, sudo, a locale; nothing that the roles should install.
PACKAGES = (
    "systemd,systemd-sysv,systemd-timesyncd,dbus,udev,libpam-systemd,openssh-server,python3,"
    "python3-apt,sudo,ca-certificates,iproute2,kmod,procps,initramfs-tools,e2fsprogs,dosfstools,"
    "less,openssl,locales,zstd"
)


class MachineError(Exception):
    """What went wrong, in a sentence."""


@dataclass
class Machine:
    """A machine that was created: where its disks are, and how it runs."""

    folder: Path
    arch: str
    engine: str
    memory: int  # MiB
    disks: list[str]  # in the order of their names: vda, vdb, …; ubda, ubdb, …
    port: int  # of ssh, on the host's loopback

    @classmethod
    def load(cls, folder: Path) -> "Machine":
        """Read the machine in a folder; MachineError where none is."""
        try:
            known = json.loads((folder / "machine.json").read_text())
        except FileNotFoundError:
            raise MachineError(f"no machine in {folder}: create it first") from None
        return cls(**known | {"folder": folder})

    def save(self) -> None:
        """Write it down, for `load`."""
        (self.folder / "machine.json").write_text(json.dumps(asdict(self), default=str) + "\n")

    def path(self, name: str) -> Path:
        """A file of the machine."""
        return self.folder / name

    def ssh(self, *command: str, timeout: float | None = None) -> subprocess.CompletedProcess:
        """Run a command as user pi."""
        return subprocess.run([*ssh_command(self), *command], timeout=timeout, check=False)


def ssh_command(machine: Machine) -> list[str]:
    """The words that reach a machine by ssh, without a question and without a trace."""
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
    options += ["ConnectTimeout=20", "ServerAliveInterval=15", "IdentitiesOnly=yes"]
    words = [word for option in options for word in ("-o", option)]
    return ["ssh", "-q", "-p", str(machine.port), "-i", str(KEY), *words, "pi@127.0.0.1"]


def run(*words: str | Path, **more: object) -> subprocess.CompletedProcess:
    """Run a program; MachineError when it fails."""
    try:
        return subprocess.run([str(word) for word in words], check=True, **more)
    except FileNotFoundError:
        raise MachineError(f"{words[0]} is not installed: tools/machine-host.sh") from None
    except subprocess.CalledProcessError as failure:
        raise MachineError(f"{words[0]} failed with {failure.returncode}") from None


# The image


def build(arch: str) -> Path:
    """Make the image of an architecture, where it is not there yet. Returns its folder."""
    image = CACHE / arch
    if (image / "root.raw").exists():
        return image
    if os.geteuid() != 0:
        raise MachineError("building the image needs root, once: sudo tools/machine.py build")
    image.mkdir(parents=True, exist_ok=True)
    if not KEY.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "machine", "-f", KEY)
    work = Path(tempfile.mkdtemp(prefix="work", dir=image))
    root = work / "root"
    sources = debian_sources()
    kernel = f"linux-image-cloud-{arch}" if arch == "amd64" else f"linux-image-{arch}"
    emulated = [] if arch == HOST_ARCH else ["--skip=check/qemu"]
    run(
        "mmdebstrap", "--mode=root", "--variant=minbase", f"--architectures={arch}", *emulated,
        f"--include={PACKAGES},{kernel}", "--format=directory", "--components=main",
        "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
        "trixie", root, *(["-"] if sources else []), input=sources, text=True,
    )  # fmt: skip
    furnish(root, sources)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), image / "vmlinuz")
    shutil.copy(next(root.glob("boot/initrd.img-*")), image / "initrd")
    disk = work / "root.raw"
    run("truncate", "--size=8G", disk)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    run("mkfs.ext4", "-q", "-F", "-L", "rootfs", "-E", lazy, "-d", root, disk)
    disk.rename(image / "root.raw")
    shutil.rmtree(work)
    return image


def debian_sources() -> str:
    """APT's sources of Debian 13 as this host reaches them; empty where it is no Debian."""
    words = [TOOLS / "trixie-sources.sh"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def furnish(root: Path, sources: str) -> None:
    """Make of Debian what the Pi's imager makes: a user with sudo and a key, ssh, a network."""
    write = {
        "etc/hostname": "pi\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 pi\n",
        "etc/fstab": "LABEL=rootfs / ext4 defaults,noatime 0 1\n"
        "LABEL=BOOTFS /boot/firmware vfat defaults 0 2\n",
        "etc/systemd/network/20-wired.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\n",
        "etc/sudoers.d/010_pi-nopasswd": "pi ALL=(ALL) NOPASSWD: ALL\n",
        "etc/default/locale": "LANG=en_GB.UTF-8\n",
        "etc/locale.gen": "en_GB.UTF-8 UTF-8\n",
        "etc/machine-id": "",  # made at the first boot
    }
    if sources:  # otherwise mmdebstrap has written down the mirror that it took
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        write["etc/apt/sources.list.d/debian.sources"] = sources
    for name, text in write.items():
        (root / name).write_text(text)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    # of QEMU's and of VDE's user network
    (root / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")
    (root / "etc/sudoers.d/010_pi-nopasswd").chmod(0o440)
    (root / "boot/firmware").mkdir(exist_ok=True)
    for modules in UML_MODULES.glob("*"):
        shutil.copytree(modules, root / "usr/lib/modules" / modules.name)
    # what this host needs to reach the registries, its owner's certificates and pip's settings
    for name in [*Path("/usr/local/share/ca-certificates").glob("*.crt"), Path("/etc/pip.conf")]:
        if name.exists():
            shutil.copy(name, root / name.relative_to("/"))
    shutil.copy(f"{KEY}.pub", root / "root/key.pub")
    run(
        "chroot", root, "sh", "-euc",
        "locale-gen >/dev/null\n"
        "update-ca-certificates >/dev/null 2>&1\n"
        "systemctl --quiet enable systemd-networkd ssh systemd-timesyncd\n"
        "systemctl --quiet disable systemd-networkd-wait-online\n"
        "systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer 2>/dev/null || true\n"
        "useradd --create-home --shell /bin/bash --groups sudo,adm pi\n"
        "install -d -m 700 -o pi -g pi /home/pi/.ssh\n"
        "install -m 600 -o pi -g pi /root/key.pub /home/pi/.ssh/authorized_keys\n"
        "rm /root/key.pub\n"
        "for modules in /usr/lib/modules/*; do depmod ${modules##*/}; done\n",
    )  # fmt: skip


# A machine


def create(folder: Path, options: argparse.Namespace) -> None:
    """Make a machine's disks in an empty folder; nothing runs yet."""
    arch, music, memory = options.arch, options.music, options.memory or 4096
    image = build(arch)
    engine = options.engine or choose_engine(arch, image)
    folder.mkdir(parents=True, exist_ok=True)
    run("cp", "--sparse=always", "--reflink=auto", image / "root.raw", folder / "root.raw")
    firmware = folder / "firmware.raw"
    firmware.unlink(missing_ok=True)
    run("truncate", "--size=64M", firmware)
    run("mkfs.vfat", "-F", "32", "-n", "BOOTFS", firmware, stdout=subprocess.DEVNULL)
    first = folder / "cmdline.first"
    first.write_text(FIRST_COMMAND_LINE)
    run("mcopy", "-i", firmware, first, "::cmdline.txt")
    disk = folder / "music.raw"
    disk.unlink(missing_ok=True)
    run("truncate", "--size=2G", disk)
    run("mkfs.ext4", "-q", "-F", "-L", "music", *(["-d", music] if music else []), disk)
    machine = Machine(folder, arch, engine, memory, [*DISKS], free_port())
    machine.save()
    print(f"a machine of {memory} MiB in {folder}, run by {engine}")
    if engine == "emulated":
        print("without help from the host's processor: 30 to 50 times slower than it would be")


def choose_engine(arch: str, image: Path) -> str:
    """The fastest engine that works here."""
    if arch == HOST_ARCH and kvm_works(arch, image):
        return "kvm"
    if arch == HOST_ARCH == "amd64" and UML.exists() and shutil.which("vde_switch"):
        return "uml"
    return "emulated"


def kvm_works(arch: str, image: Path) -> bool:
    """Whether a kernel gets under way with KVM: a device file alone does not say so."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not shutil.which(qemu_words(arch)[0]):
        return False
    console = {"amd64": "ttyS0", "arm64": "ttyAMA0"}[arch]
    words = [*qemu_words(arch, "kvm"), "-m", "512", "-serial", "stdio"]
    words += ["-kernel", str(image / "vmlinuz"), "-append", f"console={console} panic=-1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        timer = subprocess.Popen(["sh", "-c", f"sleep 20; kill {qemu.pid}"], start_new_session=True)
        try:
            return any(b"Linux version" in line for line in qemu.stdout)
        finally:
            qemu.kill()
            os.killpg(timer.pid, signal.SIGKILL)
            timer.wait()


def qemu_words(arch: str, accelerator: str = "tcg,thread=multi,tb-size=512") -> list[str]:
    """QEMU and the kind of machine, for an architecture."""
    kvm = accelerator == "kvm"
    bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    if arch == "arm64":
        cpu = "host" if kvm else "cortex-a72"
        kind = ["qemu-system-aarch64", "-M", "virt,gic-version=max", "-cpu", cpu]
    else:
        kind = ["qemu-system-x86_64", "-M", "q35", "-cpu", "host" if kvm else "max"]
    return [*kind, "-accel", accelerator, *bare]


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Power


def start(machine: Machine, options: argparse.Namespace) -> None:
    """Switch a machine on, and wait until ssh answers; MachineError when it does not."""
    if is_on(machine):
        raise MachineError(f"{machine.folder} is on")
    machine.memory = options.memory or machine.memory
    machine.disks = [*DISKS[:2]] if options.without_music else [*DISKS]
    machine.save()
    if machine.engine == "uml":
        start_network(machine)
    log = machine.path("firmware.log").open("ab")
    words = [sys.executable, __file__, "firmware", machine.folder]
    power = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    machine.path("pid").write_text(str(power.pid))
    wait_for_ssh(machine, options.wait)


def wait_for_ssh(machine: Machine, wait: float) -> None:
    """Wait until ssh answers and systemd has started everything."""
    begun = time.monotonic()
    state = None
    while time.monotonic() - begun < wait:
        if not is_on(machine):
            last = machine.path("serial.log").read_text(errors="replace")[-600:]
            raise MachineError(f"{machine.folder} went off; its console's end: {last}")
        answer = subprocess.run(
            [*ssh_command(machine), "systemctl is-system-running --wait"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        state = answer.stdout.strip()
        if state in {"running", "degraded"}:
            print(f"{state} after {time.monotonic() - begun:.0f} s")
            return
        time.sleep(1)
    raise MachineError(f"ssh did not answer within {wait:.0f} s ({state})")


def is_on(machine: Machine) -> bool:
    """Whether it has power."""
    try:
        pid = machine.path("pid").read_text()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}  # ended, and not yet noticed by the first process


def start_network(machine: Machine) -> None:
    """Give User-mode Linux what QEMU brings along: a network without root, ssh forwarded."""
    switch = machine.path("switch")
    if switch.exists():
        return
    pids = [machine.path(f"{name}.pid") for name in ("switch", "slirp")]
    run("vde_switch", "--daemon", "--sock", switch, "--pidfile", pids[0])
    forward = f"{machine.port}:10.0.2.15:22"
    run("slirpvde", "--daemon", "--dhcp", "--sock", switch, "--pidfile", pids[1], "-L", forward)


def cut(machine: Machine) -> None:
    """Take the power away: what was not flushed to a disk is gone."""
    if is_on(machine):
        os.killpg(int(machine.path("pid").read_text()), signal.SIGKILL)
        wait_until_off(machine, 20)


def off(machine: Machine, wait: float) -> None:
    """Shut it down as an owner does, and wait."""
    machine.ssh("sudo systemctl poweroff")
    wait_until_off(machine, wait)


def wait_until_off(machine: Machine, wait: float) -> None:
    """Wait until it has no power; MachineError after so many seconds."""
    begun = time.monotonic()
    while is_on(machine):
        if time.monotonic() - begun > wait:
            raise MachineError(f"{machine.folder} is still on")
        time.sleep(0.2)


def destroy(folder: Path) -> None:
    """Cut its power and remove all of it."""
    try:
        machine = Machine.load(folder)
    except MachineError:
        return
    cut(machine)
    for name in ("slirp.pid", "switch.pid"):
        if machine.path(name).exists():
            os.kill(int(machine.path(name).read_text()), signal.SIGTERM)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


# What stands for the firmware


def firmware(machine: Machine) -> None:
    """Start the kernel, and again at each reboot, with what the FAT partition says then."""
    if machine.engine == "uml":
        # its kernel executes its own name again when it reboots: this program
        start_uml(machine)
    while True:
        command = [*qemu_disks(machine), "-append", f"root=/dev/vda {kernel_words(machine)}"]
        subprocess.run(command, check=False)
        if b"reboot: Restarting system" not in machine.path("serial.log").read_bytes()[-4000:]:
            return
        keep_console(machine)


def kernel_words(machine: Machine) -> str:
    """The kernel's command line: the Pi's kernel has no memory controller unless told."""
    text = run(
        "mtype", "-i", machine.path("firmware.raw"), "::cmdline.txt", capture_output=True, text=True
    ).stdout
    enabled = re.search(r"(?<!\S)cgroup_enable=(\w+,)*memory(,\w+)*(?!\S)", text)
    # Debian's kernel does not know the Pi's word: here the opposite is taken away
    word = "" if enabled else "cgroup_disable=memory"
    told = f"{time.strftime('%F %T')} boot with '{word}', cmdline.txt: {text.strip()}"
    print(told, file=sys.stderr, flush=True)  # User-mode Linux's console is its standard output
    console = {"uml": "con=null con0=null,fd:1", "arm64": "console=ttyAMA0"}
    ours = console.get(machine.engine) or console.get(machine.arch, "console=ttyS0")
    return f"rw quiet panic=-1 net.ifnames=0 {ours} {word}"


def keep_console(machine: Machine) -> None:
    """Add the console of the boot that ended to the one of all."""
    console = machine.path("serial.log")
    if console.exists():
        with machine.path("serial.all").open("ab") as everything:
            everything.write(console.read_bytes())


def qemu_disks(machine: Machine) -> list[str]:
    """QEMU with the machine's disks, its network and its console."""
    image = CACHE / machine.arch
    accelerator = {"kvm": ["kvm"]}.get(machine.engine, [])
    words = [*qemu_words(machine.arch, *accelerator), "-smp", "2", "-m", str(machine.memory)]
    words += ["-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd")]
    words += ["-serial", f"file:{machine.path('serial.log')}", "-device", "virtio-rng-pci"]
    words += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{machine.port}-:22"]
    words += ["-device", "virtio-net-pci,netdev=net"]
    for name in machine.disks:
        disk = machine.path(f"{name}.raw")
        words += ["-drive", f"if=none,id={name},file={disk},format=raw,cache=writeback"]
        words += ["-device", f"virtio-blk-pci,drive={name}"]
    return words


def start_uml(machine: Machine) -> None:
    """Become User-mode Linux."""
    keep_console(machine)
    script = machine.path("firmware")
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {__file__} firmware {machine.folder}\n")
    script.chmod(0o755)
    disks = [
        f"ubd{number}={machine.path(f'{name}.raw')}" for number, name in enumerate(machine.disks)
    ]
    words = [str(script), f"mem={machine.memory}M", *disks, "root=/dev/ubda"]
    words += [f"eth0=daemon,,unix,{machine.path('switch')}/ctl", *kernel_words(machine).split()]
    console = os.open(machine.path("serial.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(console, 1)
    os.environ["TMPDIR"] = "/dev/shm"  # its memory is a file there
    os.execv(UML, words)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=sorted(COMMANDS))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("command", nargs="*", help="what ssh does; -- before words with dashes")
    parser.add_argument("--arch", choices=["amd64", "arm64"], default=HOST_ARCH)
    parser.add_argument("--engine", choices=["kvm", "uml", "emulated"])
    parser.add_argument("--memory", type=int, help="MiB")
    parser.add_argument("--music", type=Path, help="a folder that its second disk begins with")
    parser.add_argument("--without-music", action="store_true", help="start without that disk")
    parser.add_argument("--wait", type=float, default=600, help="seconds for a start or a stop")
    options = parser.parse_args()
    if options.folder is None and options.what != "build":
        parser.error("name the machine's folder")
    try:
        return COMMANDS[options.what](options) or 0
    except MachineError as failure:
        print(f"tools/machine.py: {failure}", file=sys.stderr)
        return 1


def at(options: argparse.Namespace) -> Machine:
    """The machine that is meant."""
    return Machine.load(options.folder.resolve())


def describe(machine: Machine) -> None:
    """Print how it is reached."""
    known = {"port": machine.port, "key": str(KEY), "engine": machine.engine, "arch": machine.arch}
    print(json.dumps(known | {"memory": machine.memory, "on": is_on(machine)}))


COMMANDS = {
    "build": lambda options: print(build(options.arch)),
    "create": lambda options: create(options.folder.resolve(), options),
    "start": lambda options: start(at(options), options),
    "wait": lambda options: wait_for_ssh(at(options), options.wait),
    "ssh": lambda options: at(options).ssh(*options.command).returncode,
    "off": lambda options: off(at(options), options.wait),
    "cut": lambda options: cut(at(options)),
    "describe": lambda options: describe(at(options)),
    "destroy": lambda options: destroy(options.folder.resolve()),
    "firmware": lambda options: firmware(at(options)),
}


if __name__ == "__main__":
    sys.exit(main())
