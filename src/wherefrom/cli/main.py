"""The entry point: the group of commands, and errors turned into sentences and exit codes."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from wherefrom.cli import (
    backing,
    collecting,
    doctor,
    evaluating,
    finding,
    keys,
    known,
    models,
    serving,
    showing,
)
from wherefrom.cli.common import fail, say
from wherefrom.cli.faults import error_of, guard_streams, guard_threads, print_traceback
from wherefrom.errors import Exit, UsageError, WherefromError
from wherefrom.version import __version__

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

EPILOG = """Exit codes: 0 matched or done, 1 searched and nothing found, 2 wrong usage, 3 a picture could
not be read, 4 the collection could not be used, 5 some files failed (the rest are in), 70 a fault of the
program or the machine (WHEREFROM_TRACEBACK=1 shows where), 130 interrupted."""


@click.group(context_settings=CONTEXT, epilog=EPILOG)
@click.version_option(__version__, "-V", "--version", prog_name="wherefrom")
def commands() -> None:
    """Find where a picture comes from, in a collection of your own.

    Index a folder once; then ask with any picture which of your files it was made from.
    """


for command in (
    collecting.index,
    finding.search,
    finding.compare,
    showing.show,
    showing.list_images,
    collecting.attach,
    collecting.remove,
    showing.duplicates,
    collecting.check,
    collecting.rebuild,
    known.collections,
    evaluating.evaluate,
    backing.backup,
    keys.keys,
    models.models,
    doctor.doctor,
    serving.serve,
    showing.demo,
):
    commands.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process."""
    guard_streams()
    guard_threads()
    given = sys.argv[1:] if arguments is None else arguments
    code = run(given)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
    except (OSError, ValueError) as error:
        _forget_output()
        code = fail(error_of(error, given), json_output=False)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line; gives the exit code. Nothing but SystemExit escapes."""
    json_output = "--json" in arguments or "--jsonl" in arguments
    # Our matrices are small: threads would cost more to wake than they save. Before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = commands.main(arguments, prog_name="wherefrom", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        say("wherefrom: interrupted")
        return Exit.INTERRUPTED
    except click.ClickException as error:
        return fail(_misused(error), json_output)
    except WherefromError as error:
        return fail(error, json_output)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; Python must not complain of it at exit.
        _forget_output()
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user, nor a code 1
        code = fail(error_of(error, arguments), json_output)
        print_traceback(error)
        return code


def _misused(error: click.ClickException) -> UsageError:
    """What click says of wrong usage, in one sentence and our voice."""
    said = error.format_message()
    said = said if said.endswith((".", "?", "!", ")")) else said + "."
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "wherefrom"
    return UsageError(f"{said} For help: {where} --help")


def _forget_output() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
