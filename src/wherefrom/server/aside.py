"""In a process beside the server: looks for duplicates or damage, and tells what it finds, line by line.

The first line of its input is what to do; its input stays open as long as the server lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from wherefrom.errors import WherefromError

_TOLD = 0.25  # seconds between lines of progress


def main(out: BinaryIO, plan: dict[str, Any]) -> None:
    """Do what a plan says, and end with an error or an end."""
    try:
        for line in _told(plan, _progress(out)):
            _say(out, line)
        _say(out, {"end": True})
    except WherefromError as error:
        _say(out, {"error": error.code, "reason": str(error)})
    except Exception:  # noqa: BLE001 - whatever it is, the server logs it under the job's id
        _say(out, {"error": WherefromError.code, "trace": traceback.format_exc()})


def _told(plan: dict[str, Any], progress: Callable[[int, int], None]) -> Iterator[dict[str, Any]]:
    from wherefrom.collection import open_collection
    from wherefrom.settings import Settings

    options = plan["options"]
    with open_collection(plan["path"], settings=Settings(**plan["settings"])) as collection:
        if plan["verb"] == "check":
            for problem in collection.check():
                yield {"problem": problem}
            return
        found = collection.duplicates(
            turned=options.get("turned", True), parts=options.get("parts", True), progress=progress
        )
        for group in found:
            yield {"group": _as_json(group)}


def _as_json(group: Any) -> dict[str, Any]:
    from wherefrom.search.wording import listed

    document: dict[str, Any] = group.as_json()
    for one, said in zip(group.others, document["others"], strict=True):
        said["sentence"] = ", ".join(listed(one.edits))
    return document


def _progress(out: BinaryIO) -> Callable[[int, int], None]:
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TOLD or done == total:
            told = time.monotonic()
            _say(out, {"progress": [done, total]})

    return tell


def _say(out: BinaryIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    from wherefrom.processes.child import end_with_parent

    stated = json.loads(sys.stdin.buffer.readline())
    end_with_parent()  # after what it sends has been read: more of it would be taken for its end
    if select.select([0], [], [], 0)[0]:
        sys.exit(1)  # it is gone already
    with contextlib.suppress(OSError):
        os.nice(5)  # whoever searches comes first
    # What else is printed goes where errors go: standard output is for the server.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(channel, stated)
    channel.close()
