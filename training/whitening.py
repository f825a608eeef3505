"""Make the whitening of embeddings that the package ships.

    python training/whitening.py [--images ../shared/data/images] [--out src/whence/features/whitening.npz]

The directions are those of the network's own classifier: the singular vectors of its centred weights, each
divided by its singular value, so that what tells many classes apart counts no more than what tells few. They
come of the published checkpoint and of no picture. Only the mean that is taken off first is of pictures: the
freely licensed folders grocery (MIT), clothing (CC0), kodak and exif_orientation (MIT) of the measuring set,
and those that scikit-image carries. The same pictures and library versions give the same file.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from vocabulary import pictures

from whence.errors import PictureError
from whence.features import embedding
from whence.models.building import tensors_of
from whence.models.session import open_session, prepared
from whence.models.store import Store
from whence.picture.decode import decode


def main() -> int:
    """Write the file and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    parser.add_argument("--out", type=Path, default=here / "src/whence/features/whitening.npz")
    parser.add_argument("--model", default="efficientnet-lite0")
    options = parser.parse_args()
    store = Store()
    card = store.card(options.model)
    weights = np.asarray(tensors_of(card)["_fc.weight"], np.float64)
    _, values, axes = np.linalg.svd(weights - weights.mean(axis=0), full_matrices=False)
    kept = slice(0, embedding.DIMENSION)
    directions = axes[kept].T * (values[0] / values[kept])
    peaks = directions[np.abs(directions).argmax(axis=0), range(embedding.DIMENSION)]
    directions *= np.where(peaks < 0, -1, 1)  # the sign of a singular vector is any library's choice
    session = open_session(card, store.path(options.model))
    total, count = np.zeros(len(directions)), 0
    for _, path in sorted(pictures(options.images)):
        try:
            pixels = decode(path.read_bytes(), colour=True).pixels
        except PictureError:
            continue
        pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        out = session.run(prepared(pixels, card))
        pooled = embedding.pooled(out["features"][0], out["attention"][0])
        total += pooled / np.linalg.norm(pooled)
        count += 1
    saved = {"mean": (total / count).astype(np.float32), "axes": directions.astype(np.float16)}
    with zipfile.ZipFile(options.out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in saved.items():
            data = io.BytesIO()
            np.save(data, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue(), zipfile.ZIP_DEFLATED)
    print(f"{count} pictures; {options.out.name}: {options.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
