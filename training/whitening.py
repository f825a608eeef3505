"""Learn the whitening of embeddings that the package ships, or say what it is worth on other pictures.

    python training/whitening.py [--images ../shared/data/images] [--out src/wherefrom/features/whitening.npz]
    python training/whitening.py --held-out

Learnt from pairs: of labelled pictures, two of a kind differ in ways that do not matter, and what differs
between them in the network's pooled features is made small (within-class covariance, shrunk towards equality
of all directions; the first half of Fisher's discriminants). Of what is left, those directions are kept in
which pictures differ, or in which the network's own classifier tells things apart, one counting as much as
the other. Pictures: the freely licensed folders grocery (MIT) and clothing (CC0), whose sub-folders are the
labels, and, for the mean and the directions alone, kodak and exif_orientation (MIT) and what scikit-image
carries. The same pictures and library versions give the same file.

`--held-out` trains on a random half of the pictures and ranks the other half (four times), and on one folder
and ranks the other: those are figures for pictures not seen. The file itself is trained on all of them.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from vocabulary import pictures

from wherefrom.errors import PictureError
from wherefrom.features import embedding
from wherefrom.models.building import tensors_of
from wherefrom.models.session import open_session, prepared
from wherefrom.models.store import Store
from wherefrom.picture.decode import decode
from wherefrom.search.similar import _CLASSES, class_shares

LABELLED = ("grocery", "clothing")
SHRUNK = 1.0  # what the mean variance within kinds is added to all directions

Matrix = NDArray[np.float64]


class Seen(NamedTuple):
    """n pictures: unit pooled features (n, 1280), shares of classes (n, 1000), names of kind and folder."""

    pooled: Matrix
    shares: NDArray[np.float32]
    kinds: NDArray[np.str_]
    folders: NDArray[np.str_]

    def take(self, rows: NDArray[np.bool_]) -> Seen:
        """Some of them."""
        return Seen(*(part[rows] for part in self))


def main() -> int:
    """Write the file and say how large it is, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    parser.add_argument("--out", type=Path, default=here / "src/wherefrom/features/whitening.npz")
    parser.add_argument("--model", default="efficientnet-lite0-int8")
    parser.add_argument("--held-out", action="store_true")
    options = parser.parse_args()
    seen, weights = looked_at(options.images, options.model), classifier(options.model)
    if options.held_out:
        report(seen, weights)
        return 0
    made = trained(seen, weights)
    with zipfile.ZipFile(options.out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {"mean": made.mean, "axes": made.axes.astype(np.float16)}.items():
            data = io.BytesIO()
            np.save(data, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue(), zipfile.ZIP_DEFLATED)
    print(f"{len(seen.kinds)} pictures; {options.out.name}: {options.out.stat().st_size:,} bytes")
    return 0


def looked_at(images: Path, model: str) -> Seen:
    """What the network sees in every training picture."""
    store = Store()
    card = store.card(model)
    session = open_session(card, store.path(model))
    pooled, shares, kinds, folders = [], [], [], []
    for _, path in sorted(pictures(images)):
        try:
            pixels = decode(path.read_bytes(), colour=True).pixels
        except PictureError:
            continue
        pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        out = session.run(prepared(pixels, card))
        features = embedding.pooled(out["features"][0], out["attention"][0]).astype(np.float64)
        pooled.append(features / np.linalg.norm(features))
        numbers, likelihoods = embedding.likeliest(out["logits"][0])
        shares.append(class_shares(numbers[None], likelihoods[None])[0])
        folder = next((name for name in LABELLED if path.parent.parent == images / name), "")
        folders.append(folder)
        kinds.append(path.parent.name if folder else "")
    return Seen(np.array(pooled), np.array(shares), np.array(kinds), np.array(folders))


def classifier(model: str) -> Matrix:
    """The centred weights of the network's classifier, (1000, 1280)."""
    weights = np.asarray(tensors_of(Store().card(model))["_fc.weight"], np.float64)
    return np.asarray(weights - weights.mean(axis=0))


def trained(seen: Seen, weights: Matrix) -> embedding.Whitening:
    """The whitening learnt from these pictures."""
    length = seen.pooled.shape[1]
    mean = seen.pooled.mean(axis=0)
    apart = [rows - rows.mean(axis=0) for rows in of_one_kind(seen)]
    within = np.concatenate(apart).T @ np.concatenate(apart)
    values, axes = np.linalg.eigh(within / np.trace(within) * length + SHRUNK * np.eye(length))
    equal = axes / np.sqrt(values) @ axes.T
    spread, told = (seen.pooled - mean) @ equal, weights @ equal
    both = sum(rows.T @ rows / (rows**2).sum() for rows in (spread, told)) / 2
    axes = np.linalg.eigh(both)[1][:, ::-1][:, : embedding.DIMENSION]
    directions = equal @ axes
    peaks = directions[np.abs(directions).argmax(axis=0), range(embedding.DIMENSION)]
    directions *= np.where(peaks < 0, -1, 1)  # the sign of an eigenvector is any library's choice
    return embedding.Whitening(mean.astype(np.float32), directions.astype(np.float32))


def of_one_kind(seen: Seen) -> Iterator[Matrix]:
    """The features of each kind that several pictures show."""
    for folder in LABELLED:
        for kind in np.unique(seen.kinds[seen.folders == folder]):
            rows = seen.pooled[(seen.folders == folder) & (seen.kinds == kind)]
            if len(rows) > 1:
                yield rows


def similarities(seen: Seen, made: embedding.Whitening, folder: str) -> tuple[Matrix, NDArray[np.bool_]]:
    """Of the pictures of a folder: similarity as a search has it, and which are of one kind, both (n, n)."""
    some = seen.take(seen.folders == folder)
    vectors = made.apply(some.pooled.astype(np.float32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.asarray(vectors @ vectors.T + _CLASSES * (some.shares @ some.shares.T), np.float64)
    np.fill_diagonal(found, -np.inf)
    return found, some.kinds[:, None] == some.kinds[None, :]


def halves(seen: Seen, weights: Matrix, times: int = 2) -> Iterator[tuple[embedding.Whitening, Seen]]:
    """A whitening learnt from a half, and the other half; both ways, with several partings."""
    random = np.random.default_rng(0)
    for _ in range(times):
        chosen = np.zeros(len(seen.kinds), np.bool_)
        chosen[random.permutation(len(chosen))[: len(chosen) // 2]] = True
        for rows in (chosen, ~chosen):
            yield trained(seen.take(rows), weights), seen.take(~rows)


def report(seen: Seen, weights: Matrix) -> None:
    """Precision@1 on pictures held out, beside that of the pooled features as they are."""
    plain = embedding.Whitening(np.zeros(seen.pooled.shape[1], np.float32), np.eye(seen.pooled.shape[1]))

    def first(some: Seen, made: embedding.Whitening, folder: str) -> float:
        found, same = similarities(some, made, folder)
        return float(same[np.arange(len(found)), found.argmax(axis=1)].mean())

    def raw(some: Seen, folder: str) -> float:
        return first(some._replace(shares=some.shares * 0), plain, folder)

    parts = list(halves(seen, weights))
    print("| precision@1 | " + " | ".join(LABELLED) + " |\n|---|---|---|")
    rows = {
        "pooled features, among halves": [np.mean([raw(o, f) for _, o in parts]) for f in LABELLED],
        "whitened and ranked, halves held out": [
            np.mean([first(other, made, folder) for made, other in parts]) for folder in LABELLED
        ],
        "pooled features, among all": [raw(seen, folder) for folder in LABELLED],
        "whitened without this folder, among all of it": [
            first(seen, trained(seen.take(seen.folders != folder), weights), folder) for folder in LABELLED
        ],
    }
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


if __name__ == "__main__":
    sys.exit(main())
