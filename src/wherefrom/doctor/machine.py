"""The machine: processors and how many of them may be used, memory, file systems.

Everything is read from `/proc` and `/sys` below a root, which tests replace; what another system does not
say is None, and nothing is found about it.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wherefrom.doctor.findings import Finding

ROOT = Path("/")

_SIMD = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_vpopcntdq", "asimd", "asimddp")
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "vboxsf"}
_SHARED = ("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "virtiofs", "drvfs")
_PASSING = {
    "tmpfs": "in memory, and is gone after a restart",
    "ramfs": "in memory, and is gone after a restart",
}
_LEAST_TEMPORARY = 100 * 1000**2
_BUSY = 1.5  # processes that want to run, by the processors that may be used
_SWAPPED = 0.25  # share of memory


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to compute with. Sizes are bytes; `load` is the mean of the last minute.

    `cores` are those of the machine, `allowed` those that this process may run on, `quota` how many cores'
    time its control group grants, None for no limit.
    """

    cores: int
    allowed: int
    quota: float | None
    load: float | None
    processor: str
    simd: tuple[str, ...]
    memory: int | None
    available: int | None
    memory_limit: int | None
    swapped: int | None
    temporary: str
    temporary_free: int | None

    def as_json(self) -> dict[str, object]:
        """The machine in numbers and texts."""
        return asdict(self) | {"simd": list(self.simd)}

    @property
    def usable(self) -> float:
        """Cores whose time this process gets at most."""
        return self.allowed if self.quota is None else min(self.allowed, self.quota)


def read_machine(root: Path = ROOT) -> Machine:
    """The machine that this process runs on."""
    words = _processor(root)
    memory = _memory(root)
    limit = _limit(root, "memory.max", "memory", "memory.limit_in_bytes")
    total = memory.get("MemTotal")
    if limit is not None and total is not None and limit >= total:
        limit = None
    swapped = None
    if "SwapTotal" in memory and "SwapFree" in memory:
        swapped = memory["SwapTotal"] - memory["SwapFree"]
    temporary = tempfile.gettempdir()
    load = None
    with contextlib.suppress(OSError, AttributeError):
        load = round(os.getloadavg()[0], 2)
    return Machine(
        cores=os.cpu_count() or 1,
        allowed=_allowed(),
        quota=_quota(root),
        load=load,
        processor=words[0],
        simd=words[1],
        memory=total,
        available=memory.get("MemAvailable"),
        memory_limit=limit,
        swapped=swapped,
        temporary=temporary,
        temporary_free=free_below(Path(temporary)),
    )


def findings(machine: Machine, workers: int, kind: str = "x86_64") -> Iterator[Finding]:
    """What of the machine makes things slow; `workers` is how many processes would decode."""
    if machine.quota is not None and workers > math.ceil(machine.quota):
        fit = max(1, math.ceil(machine.quota))
        yield Finding(
            "cores-limited",
            f"This process is granted the time of {_cores(machine.quota)} (a limit of its control group) and "
            f"would start {workers} processes to decode: they wait for each other.",
            f"Set WHEREFROM_WORKERS={fit}, or give the container more processors.",
        )
    elif machine.allowed < machine.cores:
        yield Finding(
            "cores-pinned",
            f"This process may run on {machine.allowed} of the machine's {machine.cores} cores.",
            "Start it without taskset or a set of processors if all of them should work.",
        )
    if machine.load is not None and machine.load > max(2.0, _BUSY * machine.cores):
        yield Finding(
            "busy",
            f"About {machine.load:.0f} processes share {machine.cores} core{'s' * (machine.cores != 1)}: "
            f"everything takes longer.",
            "Wait until the other work is done; measure again then.",
        )
    if kind in ("x86_64", "AMD64") and machine.simd and "avx2" not in machine.simd:
        yield Finding(
            "no-avx2",
            "The processor has no AVX2, or a virtual machine hides it: scans, keypoints and networks run "
            "several times slower.",
            "Let the virtual machine pass the processor's features through (host-passthrough).",
        )
    room = machine.memory_limit or machine.memory
    if machine.swapped and room and machine.swapped > _SWAPPED * room:
        yield Finding(
            "swapping",
            f"{machine.swapped / 1e9:.1f} GB of memory are swapped out to disk: searches wait for them.",
            "End what takes the memory, or give the machine more of it.",
        )
    if machine.temporary_free is not None and machine.temporary_free < _LEAST_TEMPORARY:
        yield Finding(
            "small-tmp",
            f"{machine.temporary} has {machine.temporary_free / 1e6:.0f} MB left: uploads, and models that "
            f"are built for one process may not fit.",
            "Free some, or name another folder in TMPDIR.",
        )


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that a folder lies on. `locks` and `maps` are None where it cannot be written to."""

    kind: str
    mount: str
    free: int
    writable: bool
    locks: bool | None
    maps: bool | None

    def as_json(self) -> dict[str, object]:
        """The file system in numbers and texts."""
        return asdict(self)


def disk_of(folder: Path, root: Path = ROOT) -> Disk:
    """The file system of an existing folder, tried with a file that has no name and is gone at once."""
    kind, mount = _mount(folder, root)
    writable, locks, maps = _tried(folder)
    return Disk(kind, mount, free_below(folder) or 0, writable, locks, maps)


def disk_findings(disk: Disk, folder: Path) -> Iterator[Finding]:
    """What of a file system hinders a collection on it."""
    if disk.locks is False or disk.maps is False:
        what = " or ".join(
            word for word, can in (("locked", disk.locks), ("mapped", disk.maps)) if can is False
        )
        yield Finding(
            "no-locks" if disk.locks is False else "no-maps",
            f"Files in {folder} cannot be {what} ({disk.kind}): a collection cannot be written to safely "
            f"there, or not be read at the speed of memory.",
            "Move the collection to a disk of this machine.",
        )
    elif disk.kind in _NETWORK or disk.kind in _SHARED:
        yield Finding(
            "network-disk",
            f"{folder} lies on a network or shared file system ({disk.kind}): opening and adding are slow, "
            f"and only one machine may use it at a time.",
            "Move the collection to a disk of this machine; the pictures may stay where they are.",
        )
    elif disk.kind in _PASSING:
        yield Finding(
            "passing-disk",
            f"{folder} lies {_PASSING[disk.kind]}.",
            "Keep the collection on a disk if it should stay.",
        )
    elif disk.kind == "overlay":
        yield Finding(
            "container-layer",
            f"{folder} lies in the container's own layer, which goes when the container goes.",
            "Mount a volume, and keep the collection there.",
        )


def free_below(folder: Path) -> int | None:
    """Bytes that may still be written in a folder, or where it would be made."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _tried(folder: Path) -> tuple[bool, bool | None, bool | None]:
    """Whether files can be made there, locked, and mapped."""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below
    except OSError:
        return False, None, None
    with file:
        locks = maps = True
        try:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (OSError, ImportError):  # there is no such module on Windows
            locks = False
        try:
            file.truncate(mmap.PAGESIZE)
            mmap.mmap(file.fileno(), mmap.PAGESIZE).close()
        except (OSError, ValueError):
            maps = False
    return True, locks, maps


def _mount(folder: Path, root: Path) -> tuple[str, str]:
    """Kind and place of the file system of a folder, by the longest mount point above it."""
    here, best = str(folder.resolve()), ("unknown", "")
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, dash, after = line.partition(" - ")
        if not dash or len(parts := before.split()) < 5 or not after:
            continue
        point = parts[4].encode().decode("unicode_escape")
        inside = here == point or here.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[1]):
            best = (after.split()[0], point)
    return best


def _cores(number: float) -> str:
    return "1 core" if number == 1 else f"{number:g} cores"


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor(root: Path) -> tuple[str, tuple[str, ...]]:
    """Its name, and the features of it that matter here."""
    name, flags = "", frozenset[str]()
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name" and not name:
            name = value
        if key in ("flags", "Features") and not flags:
            flags = frozenset(value.split())
    return name, tuple(one for one in _SIMD if one in flags)


def _memory(root: Path) -> dict[str, int]:
    found = {}
    for line in _text(root / "proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            found[key] = int(number[0]) * 1024
    return found


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control group and those above it: of version 2, or a version 1 one."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, place = [*line.split(":", 2), "", ""][:3]
        if number != "0" and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("" if number == "0" else controller)
        path = Path(place.strip().lstrip("/"))
        yield from (base / part for part in (path, *path.parents))


def _limit(root: Path, name: str, controller: str, old: str) -> int | None:
    """The least limit that any group above states, None for none."""
    stated = [_text(folder / one).strip() for folder in _groups(root, controller) for one in (name, old)]
    return min((int(text) for text in stated if text.isdigit()), default=None)


def _quota(root: Path) -> float | None:
    """Cores whose time is granted, None for no limit (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`)."""
    shares = []
    for folder in _groups(root, "cpu"):
        words = _text(folder / "cpu.max").split()
        if not words:
            words = [_text(folder / f"cpu.cfs_{one}_us").strip() for one in ("quota", "period")]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            shares.append(int(words[0]) / int(words[1]))
    return min(shares, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
