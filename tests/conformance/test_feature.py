"""A kind of feature comes in by one file: it is extracted, kept, stamped, checked, rebuilt, and it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conformance.feature import FeatureSuite
from tests.conformance.plugin.wherefrom_tiles import TILES
from tests.scenes import encoded, picture
from wherefrom.features.registry import features

PLUGIN = Path(__file__).with_name("plugin")


class TestTiles(FeatureSuite):
    kind = TILES


class TestFingerprints(FeatureSuite):
    kind = features()["pdq"]


class TestKeypoints(FeatureSuite):
    kind = features()["keypoints"]


class TestPalettes(FeatureSuite):
    kind = features()["palette"]


PROGRAM = """
import sys
from pathlib import Path
import wherefrom
from wherefrom.features.registry import features
from wherefrom.settings import Settings

folder = Path(sys.argv[1])
assert list(features()) == ["pdq", "keypoints", "palette", "embedding", "tiles"]
settings = Settings(model="none", workers=1)
with wherefrom.open(folder / "c", create=True, settings=settings) as photos:
    report = photos.add(folder / "pictures")
    assert len(report.added) == 4, report.as_json()
    engine = photos.engine
    kept = engine.features("tiles", [1, 2, 3, 4])
    assert [len(features()["tiles"].parts(data)) for data in kept.values()] == [4] * 4
    corners = [image.path for image in photos.select("tile:red")]
    assert [Path(path).name for path in corners] == ["corner.png"], corners
    assert len(list(photos.select("-tile:red"))) == 3
    query = folder / "pictures" / "corner.png"
    told = photos.why(query, photos.find(folder / "pictures" / "0.jpg")[0].id)
    assert told.others["tiles"].place is not None, told
    told = photos.why(query, photos.find(query)[0].id)
    assert told.others["tiles"].place == 1, told
    assert "tiles" in told.as_json()["others"]
    photos.remove(folder / "pictures" / "0.jpg")
    assert not photos.check(), photos.check()
    photos.rebuild()
    assert [Path(image.path).name for image in photos.select("tile:red")] == ["corner.png"]
with wherefrom.open(folder / "c", settings=settings) as photos:
    assert [Path(image.path).name for image in photos.select("tile:red")] == ["corner.png"]
    assert not photos.check(), photos.check()
"""


def test_a_kind_of_a_package_goes_through_everything(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.jpg").write_bytes(encoded(picture(number)))
    corner = np.array(picture(3))
    corner[150:, :200] = (250, 8, 4)
    (pictures / "corner.png").write_bytes(encoded(Image.fromarray(corner), "PNG"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PLUGIN), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_collection_made_without_a_kind_computes_it_when_it_is_rebuilt(tmp_path: Path) -> None:
    """What a package brings is missing in collections of before, which go on to answer until then."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "0.jpg").write_bytes(encoded(picture(0)))
    make = (
        "import sys, wherefrom; from wherefrom.settings import Settings\n"
        "settings = Settings(model='none', workers=1)\n"
        "with wherefrom.open(sys.argv[1] + '/c', create=True, settings=settings) as p:\n"
        "    {}\n"
    )
    asked = (
        "assert len(p.search(sys.argv[1] + '/pictures/0.jpg')) == 1; assert p.engine.stale() == [1]; "
        "p.rebuild(); assert p.engine.stale() == []; assert len(p.engine.features('tiles', [1])) == 1"
    )
    for path, what in (([], "p.add(sys.argv[1] + '/pictures')"), ([str(PLUGIN)], asked)):
        done = subprocess.run(
            [sys.executable, "-c", make.format(what), str(tmp_path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*path, *sys.path])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
