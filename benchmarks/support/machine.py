"""What was measured on: machine, versions, commit; and whether somebody else was at work.

A figure without these is worth nothing, so every result carries them. Read on in `report.py`.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"
_PACKAGES = ("thingstead", "uvicorn", "httptools", "uvloop", "msgspec")
_PROBE_S = 0.4
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def prepare(*tools: str) -> None:
    """Raise the open-file limit and end with a clear line when a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        sys.exit(
            f"benchmarks need {' and '.join(missing)}, which this machine lacks"
            " (on Debian: apt install wrk nginx-light mosquitto util-linux)"
        )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    RESULTS.mkdir(exist_ok=True)


def require_cores(*cores: int) -> None:
    """End with a clear line when the machine does not have these cores for us."""
    ours = os.sched_getaffinity(0)
    if not ours.issuperset(cores):
        sys.exit(f"cores {cores} are asked for, but only {sorted(ours)} may be used")


def facts(folder: Path) -> dict[str, object]:
    """Return what identifies machine, software and commit; takes about half a second."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "file_system": file_system(folder),
        "synced_appends_per_s": synced_appends_per_s(folder),
        "open_files": soft,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "tools": {"nginx": version("nginx", "-v"), "wrk": version("wrk", "-v")},
        "commit": commit(),
        "source_digest": source_digest(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit() -> str:
    """Return the commit that is checked out, read from the files of the repository."""
    folder = REPOSITORY / ".git"
    try:
        if folder.is_file():
            folder = (REPOSITORY / folder.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (folder / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:12]
        name = head.removeprefix("ref: ")
        shared = folder / "commondir"
        roots = [folder, (folder / shared.read_text().strip()) if shared.exists() else folder]
        for root in roots:
            if (root / name).exists():
                return (root / name).read_text().strip()[:12]
            packed = root / "packed-refs"
            for line in packed.read_text().splitlines() if packed.exists() else ():
                if line.endswith(f" {name}"):
                    return line[:12]
    except OSError:
        return "unknown"
    return "none yet"


def source_digest() -> str:
    """Return a digest of everything in `src`: it tells the commit from what was changed since."""
    total = hashlib.sha256()
    for path in sorted((REPOSITORY / "src").rglob("*.py")):
        total.update(str(path.relative_to(REPOSITORY)).encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds the folder."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, found = line.split()[:3]
        if folder.resolve().is_relative_to(where) and len(where) >= len(best):
            best, kind = where, found
    return kind


def synced_appends_per_s(folder: Path) -> int:
    """Return how often a second 2 KiB can be appended and flushed: the disk's own limit."""
    path = folder / "probe"
    block = b"x" * 2_048
    count = 0
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        begun = time.monotonic()
        while time.monotonic() - begun < _PROBE_S:
            os.write(file, block)
            os.fdatasync(file)
            count += 1
        return round(count / (time.monotonic() - begun))
    finally:
        os.close(file)
        path.unlink()


def busy_s() -> float:
    """Return the processor time that all processes together have used since the boot."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system = (int(field) for field in fields[1:4])
    return (user + nice + system) / _TICKS_PER_S


def version(tool: str, flag: str) -> str:
    """Return what a program says of its version when asked by that flag."""
    if shutil.which(tool) is None:
        return "missing"
    said = subprocess.run([tool, flag], capture_output=True, text=True, check=False)
    words = re.split(r"[\s/]", said.stderr + said.stdout)
    return next((word for word in words if re.match(r"\d+\.\d", word)), "unknown")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def usable_cores() -> set[int]:
    """Return the cores that this process may use."""
    return os.sched_getaffinity(0)
