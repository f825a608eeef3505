"""How long the steps take here, on one thread: decoding, what finds copies, an embedding, a scan.

Each is run a few times on a picture that is drawn here, and the median counts. All of it takes a second
or so; nothing is written.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from wherefrom.doctor.findings import Finding
from wherefrom.doctor.machine import Machine
from wherefrom.errors import ModelError

USUAL = {"decode_luma": 1.3, "decode_colour": 1.4, "features": 22.0, "embedding": 7.2, "scan": 7.0}
"""Milliseconds of each step on one core of the machine of the benchmarks, for this very picture."""

_SLOW = 3.0  # times as long as usual, from which it is told
_WIDTH, _HEIGHT = 1000, 750
_CODES = 1_000_000
_SECONDS = 0.4  # for each step, at most about
_IN_WORDS = {
    "decode_luma": "Decoding a picture",
    "decode_colour": "Decoding a picture in colour",
    "features": "What finds copies",
    "embedding": "An embedding",
    "scan": "A scan of a million fingerprints",
}


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds of each step, in the order in which they are taken; None for what there is not."""

    ms: dict[str, float | None]

    @property
    def per_second(self) -> float | None:
        """Pictures of this size that one core can add in a second, as far as these steps go."""
        spent = [
            self.ms.get(step) or 0.0 for step in ("decode_luma", "decode_colour", "features", "embedding")
        ]
        return 1000 / sum(spent) if sum(spent) else None

    def as_json(self) -> dict[str, object]:
        """The times in milliseconds, to a hundredth."""
        rounded = {step: None if ms is None else round(ms, 2) for step, ms in self.ms.items()}
        return {"ms": rounded, "usual_ms": USUAL, "picture": [_WIDTH, _HEIGHT]}


def measure(model_file: str | None, model: str, device: str) -> Speed:
    """Take the times; those of an embedding where the model's file is there."""
    from wherefrom.features import fingerprint, keypoints, palette
    from wherefrom.picture.decode import decode
    from wherefrom.picture.limits import SMALL_SIDE

    data = _jpeg()
    luma = decode(data, colour=False)
    colour = decode(data, least=SMALL_SIDE)
    keypoints.prepare()

    def features() -> None:
        fingerprint.fingerprint(luma).to_bytes()
        keypoints.keypoints(luma).to_bytes()
        palette.palette(colour).to_bytes()

    ms: dict[str, float | None] = {
        "decode_luma": _timed(lambda: decode(data, colour=False)),
        "decode_colour": _timed(lambda: decode(data, least=SMALL_SIDE)),
        "features": _timed(features),
        "embedding": None,
        "scan": _scan(),
    }
    if model_file is not None:
        from wherefrom.features.embedding import Embedder, Model
        from wherefrom.models.store import Store

        try:
            embedder = Embedder(Model(Store().card(model), model_file, device))
            ms["embedding"] = _timed(lambda: embedder.embed(colour))
        except ModelError:  # told of with the models
            pass
    return Speed(ms)


def findings(speed: Speed, machine: Machine) -> Iterator[Finding]:
    """What takes much longer than it usually does, and why that may be."""
    slow = {
        step: ms / USUAL[step] for step, ms in speed.ms.items() if ms is not None and ms > _SLOW * USUAL[step]
    }
    if not slow:
        return
    worst = max(slow, key=lambda step: slow[step])
    busy = machine.load is not None and machine.load > machine.usable
    also = f", and {len(slow) - 1} more of the steps are slow" if len(slow) > 1 else ""
    yield Finding(
        "slow",
        f"{_IN_WORDS[worst]} takes {speed.ms[worst]:.1f} ms here, {slow[worst]:.1f} times as long as on the "
        f"machine of the benchmarks{also}.",
        "Other programs use the processors: measure again when they rest."
        if busy
        else "Look at what else is found here, and whether the machine is throttled or virtual.",
    )


def _timed(step: Callable[[], object]) -> float:
    """Milliseconds of one run: the median of five, or of as many as there is time for."""
    step()
    taken: list[float] = []
    start = time.perf_counter()
    while len(taken) < 5 and (not taken or time.perf_counter() - start < _SECONDS):
        before = time.perf_counter()
        step()
        taken.append(1e3 * (time.perf_counter() - before))
    return median(taken)


def _scan() -> float:
    import numpy as np

    from wherefrom.engine import scan

    random = np.random.default_rng(0)
    planes = random.integers(0, 2**63, (scan.WORDS, _CODES), dtype=np.uint64)
    query = random.integers(0, 2**63, (1, scan.WORDS), dtype=np.uint64)
    return _timed(lambda: scan.within(planes, query, 31, compiled=False))


def _jpeg() -> bytes:
    """A picture with structure at every scale, as photographs have it."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    total = np.zeros((_HEIGHT, _WIDTH, 3), np.float32)
    for octave in range(2, 9):
        coarse = random.normal(0, 255, (2**octave, 2**octave, 3)).clip(-255, 255)
        small = Image.fromarray(((coarse + 255) / 2).astype(np.uint8))
        large = small.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
        total += np.asarray(large, np.float32) / 2 ** (octave / 2)
    total -= total.min()
    image = Image.fromarray((total / total.max() * 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
