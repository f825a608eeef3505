"""One benchmark in a process that does nothing else: `python -m benchmarks.child MODULE[:NAME] OPTIONS`."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> int:
    """Run it; its result and what is below its bar are the last line on stdout."""
    module, _, name = sys.argv[1].partition(":")
    given = getattr(importlib.import_module(module), name or "run")(**json.loads(sys.argv[2]))
    result, problems = given if isinstance(given, tuple) else (given, ())
    print(json.dumps({"result": result, "problems": list(problems)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
