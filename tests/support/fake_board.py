"""A folder with ``proc`` and ``sys`` as a Raspberry Pi has them, whose figures a test sets."""

GROUP = "system.slice/celery-worker.service"
MIB = 1024 * 1024


class FakeBoard:
    """Writes the kernel's files.

    Args:
        folder: where ``proc`` and ``sys`` are made.
    """

    def __init__(self, folder):
        self.folder = folder
        self.write("proc/self/cgroup", f"0::/{GROUP}\n")

    @property
    def root(self):
        """The folder as a setting."""
        return str(self.folder)

    def write(self, name, text):
        """Write a file in one step: a reader sees the old text or the new one."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(str(text))
        new.replace(path)

    def group(self, name, value, group=GROUP):
        """Write a figure of a control group (version 2)."""
        self.write(f"sys/fs/cgroup/{group}/{name}", f"{value}\n")

    def memory(self, used_mib, high_mib=1000, cache_mib=0):
        """Set what the unit holds, page cache included, and where it is slowed down."""
        self.group("memory.high", high_mib * MIB)
        self.group("memory.max", "max")
        self.group("memory.stat", f"anon 1\ninactive_file {cache_mib * MIB}\nactive_file 5")
        self.group("memory.current", used_mib * MIB)

    def temperature(self, degrees, zone=0, kind="cpu-thermal"):
        """Set the temperature of a zone in degrees Celsius."""
        self.write(f"sys/class/thermal/thermal_zone{zone}/type", f"{kind}\n")
        self.write(f"sys/class/thermal/thermal_zone{zone}/temp", f"{round(degrees * 1000)}\n")

    def pressure(self, name, some):
        """Set the pressure in a file such as ``proc/pressure/cpu``."""
        rest = "avg60=1.00 avg300=2.00 total=12345"
        self.write(name, f"some avg10={some:.2f} {rest}\nfull avg10=0.00 {rest}\n")
