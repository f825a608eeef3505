"""What `bench.py` runs: each script with its options, made to fit the minutes that there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_MINUTES = 40.0


@dataclass(frozen=True)
class Budget:
    """How long everything may take together, over which pictures.

    `share` is the time there is as a part of the default; below 1 sizes shrink, above 1 nothing grows but
    the number of originals. `full` asks for what does not fit the default: 100 million fingerprints.
    """

    minutes: float
    folder: Path
    shared: bool
    full: bool = False

    @property
    def share(self) -> float:
        """The time there is, as a part of the default."""
        return self.minutes / DEFAULT_MINUTES

    def size(self, whole: float, least: float = 1) -> int:
        """A size in proportion to the time, from `least` to `whole`."""
        return round(max(least, min(1.0, self.share) * whole))


@dataclass(frozen=True)
class Job:
    """A script to run; `minutes` is what it takes of the default budget, on two cores.

    Without the measuring set, those that need it are left out.
    """

    name: str
    script: str
    minutes: float
    options: Callable[[Budget], list[str]]
    needs_shared: bool = False
    only_full: bool = False

    def limit(self, budget: Budget) -> float:
        """Seconds after which it is ended: well beyond what it should take, starting included."""
        return 120 + 60 * 2.5 * self.minutes * max(budget.share, 0.1)


def _copies(budget: Budget) -> list[str]:
    tried = max(0.2, 5 * budget.share)
    options = ["--folder", str(budget.folder), "--minutes", f"{tried:g}"]
    options += ["--originals", str(budget.size(300, 4))]
    options += ["--indexed", str(budget.size(800, 40)), "--held-out", str(budget.size(400, 10))]
    options += ["--styled", str(budget.size(60, 4)), "--slow-originals", str(budget.size(6, 1))]
    return options


def _scale(budget: Budget) -> list[str]:
    sizes = [10_000, 100_000, 1_000_000] if budget.share >= 0.9 else [10_000, 100_000]
    if budget.share < 0.25:
        sizes = [2_000, 10_000]
    return [
        *("--images", *map(str, sizes)),
        *("--folder", str(budget.folder), "--queries", str(budget.size(60, 10))),
    ]


def _outcomes(budget: Budget) -> list[str]:
    files = budget.size(1500, 120)
    return ["--files", str(files), "--hostile", str(max(40, files // 25)), "--seconds", "5"]


def _service(budget: Budget) -> list[str]:
    return [
        *("--folder", str(budget.folder), "--images", str(budget.size(100e3, 5e3))),
        *(
            "--requests",
            str(budget.size(600, 60)),
            "--uploads",
            str(budget.size(60, 10)),
            "--rounds",
            str(budget.size(5, 2)),
        ),
        *("--malformed", str(budget.size(1_000, 60)), "--kills", str(budget.size(3, 1))),
    ]


JOBS = (
    Job("copies", "copies.py", 11, _copies),
    Job("search_scale", "search_scale.py", 8, _scale),
    Job(
        "recall",
        "recall.py",
        2,
        lambda b: [
            *("--folder", str(b.folder), "--originals", str(b.size(60, 6))),
            *("--unrelated", str(b.size(400, 8))),
        ],
    ),
    Job("strangers", "strangers.py", 1, lambda b: ["--folder", str(b.folder)]),
    Job(
        "hamming",
        "hamming.py",
        2.5,
        lambda b: [
            *("--codes", str(b.size(10e6, 200e3)), "--repeat", str(b.size(15, 3))),
            *("--queries", str(b.size(1024, 64)), "--graphs", str(b.size(100e3, 5e3))),
        ],
    ),
    Job(
        "hamming_large",
        "hamming.py",
        4,
        lambda _: ["--codes", "100000000", "--only", "mih"],
        only_full=True,
    ),
    Job(
        "vectors",
        "vectors.py",
        5,
        lambda b: [
            *("--rows", str(b.size(200e3, 5e3)), "--kinds", "pictures", "--threads", "2"),
            *("--queries", str(b.size(200, 50)), "--repeat", str(b.size(30, 5))),
        ],
    ),
    Job(
        "words",
        "words.py",
        1.5,
        lambda b: [
            *("--images", str(b.size(1e4, 2048)), str(b.size(1e5, 8192))),
            *("--searches", str(b.size(40, 5)), "--added", str(b.size(16_384, 100))),
        ],
    ),
    Job(
        "indexing",
        "indexing.py",
        2,
        lambda b: [
            *("--folder", str(b.folder / "photos" if b.shared else b.folder)),
            *("--files", str(b.size(120, 6)), "--large", str(b.size(6, 2)), "--repeat", str(b.size(3, 1))),
        ],
    ),
    Job("cold", "cold.py", 0.7, lambda b: ["--images", str(b.size(10_000, 500))]),
    Job("updates", "updates.py", 1, lambda b: ["--rows", str(b.size(1e6, 10e3))]),
    Job("duplicates", "duplicates.py", 0.7, lambda b: ["--folder", str(b.folder)], needs_shared=True),
    Job(
        "changes",
        "changes.py",
        1.2,
        lambda b: [str(b.folder), "--pictures", str(b.size(60, 6))],
        needs_shared=True,
    ),
    Job(
        "similar",
        "similar.py",
        3.5,
        lambda b: ["--originals", str(b.size(30, 3)), "--walls", str(b.size(40, 3))],
        needs_shared=True,
    ),
    Job("outcomes", "outcomes.py", 1.5, _outcomes),
    Job("crash", "crash.py", 1, lambda b: ["--kills", str(b.size(40, 4))]),
    Job("service", "service.py", 3, _service),
    Job(
        "service_long",
        "service.py",
        25,
        lambda b: ["--folder", str(b.folder), "--requests", "20000"],
        only_full=True,
    ),
    Job(
        "page_feel",
        "page_feel.py",
        1.2,
        lambda b: [
            *("--folder", str(b.folder), "--images", str(b.size(100e3, 5e3))),
            *("--drops", str(b.size(15, 5)), "--cards", str(b.size(5_000, 500))),
        ],
    ),
)


def chosen(budget: Budget, only: list[str]) -> list[Job]:
    """The jobs to run; raises ValueError for a name that is none's."""
    names = [job.name for job in JOBS]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise ValueError(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(names)}.")
    return [
        job
        for job in JOBS
        if (job.name in only or (not only and (budget.full or not job.only_full)))
        and (budget.shared or not job.needs_shared)
    ]
