"""What the numbers were measured on, and what they cost in CPU time."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("aiokafka", "faust-streaming", "msgspec", "numba", "numpy", "uvloop")


def machine() -> dict[str, str]:
    """Processor, cores, Python, and the libraries that the numbers depend on."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": str(os.cpu_count()),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """CPU time that these processes have used; None where /proc does not tell."""
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def busy_seconds() -> float | None:
    """CPU time that all processes of this machine have used; None where /proc does not tell.

    Waiting does not count, nor does what the host took from a virtual machine.
    """
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, first.split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def load_average() -> float:
    """Runnable processes over the last minute: what else kept the machine busy."""
    return os.getloadavg()[0]
