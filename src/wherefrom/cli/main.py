"""The entry point: the group of commands, and errors turned into sentences and exit codes."""

from __future__ import annotations

import os
import sys

import click

from wherefrom.cli import backing, collecting, doctor, evaluating, finding, keys, models, serving, showing
from wherefrom.cli.common import fail, say
from wherefrom.errors import Exit, WherefromError
from wherefrom.version import __version__

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

EPILOG = """Exit codes: 0 matched or done, 1 searched and nothing found, 2 wrong usage, 3 a picture could
not be read, 4 the collection could not be used, 5 some files failed (the rest are in), 130 interrupted."""


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
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; gives the exit code."""
    json_output = "--json" in arguments
    # Our matrices are small: threads would cost more to wake than they save. Before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = commands.main(arguments, prog_name="wherefrom", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.Abort:
        say("wherefrom: interrupted")
        return Exit.INTERRUPTED
    except KeyboardInterrupt:
        say("wherefrom: interrupted")
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except WherefromError as error:
        return fail(error, json_output)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; Python must not complain of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK


if __name__ == "__main__":
    main()
