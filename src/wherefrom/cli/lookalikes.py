"""Look-alikes on the command line: the options that ask for them, and what pictures show in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wherefrom.errors import UsageError
from wherefrom.printing import counted

if TYPE_CHECKING:
    from wherefrom.models.labels import Label
    from wherefrom.search.answer import Match, QueryFacts
    from wherefrom.search.wishes import About

F = TypeVar("F", bound=Callable[..., Any])

_SUBJECTS = ("like", "text", "colours")  # what look-alikes can be had of without a picture to search for

_OPTIONS = (
    click.option(
        "--object", "thing", type=int, metavar="N", help="Search for the Nth thing that IMAGE shows."
    ),
    click.option(
        "--like", multiple=True, metavar="IMAGE", help="Look-alikes of this one, too. Can be repeated."
    ),
    click.option(
        "--unlike", multiple=True, metavar="IMAGE", help="Look-alikes, but not of this one. Can be repeated."
    ),
    click.option("--text", metavar="WORDS", help="Look-alikes of words, with a model that takes any."),
    click.option(
        "--colours",
        "--colors",
        "colours",
        metavar="LIST",
        help='Look-alikes with these colours: "red, #ffcc00", or with weights "red:2, teal 30%".',
    ),
    click.option("--ignore-background", is_flag=True, help="Leave plain backgrounds out of --colours."),
)


def wishes(command: F) -> F:
    """The options that say what look-alikes are wanted of."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_wishes(
    image: str | None, wanted: dict[str, Any], regions: Sequence[Any], thing: int | None, folder: str | None
) -> None:
    """Raises UsageError for options that do not go together, before any work is done.

    `wanted` are the options of `wishes` but `thing`, by name.
    """
    for name in ("text", "colours"):
        if wanted[name] is not None and not wanted[name].strip():
            raise UsageError(f"--{name} is empty.")
    if wanted["ignore_background"] and not wanted["colours"]:
        raise UsageError("--ignore-background says how --colours are looked for: it needs them.")
    if regions and thing is not None:
        raise UsageError("Choose one of --region and --object.")
    if len(regions) > 1 and any(wanted.values()):
        raise UsageError("Several regions are searched for by themselves: give one --region here.")
    if image is not None:
        return
    if not any(wanted[name] for name in _SUBJECTS):
        raise UsageError("Give an IMAGE to search for, or say what looks alike: --like, --text or --colours.")
    for option, given in (("--region", regions), ("--object", thing is not None), ("--draw", folder)):
        if given:
            raise UsageError(f"{option} needs an IMAGE to search for.")


def in_words(labels: Iterable[Label]) -> str:
    """What a picture shows: `golden retriever (dog), kitchenware`."""
    return ", ".join(map(_named, labels))


def shown_by(match: Match) -> str:
    """A look-alike in a line: what it shows, and how many near-copies are folded under it."""
    copies = len(match.copies)
    more = f"(+{counted(copies, 'near-copy', 'near-copies')})" if copies else ""
    return " ".join(filter(None, (in_words(match.labels), more)))


def shown_in(facts: QueryFacts, *, numbered: bool) -> str:
    """What a query shows and, where they are `numbered`, where its objects are; empty when nothing is known.

    Perhaps: Granny Smith apple (fruit). Objects: 1 at 76,141,239,283.
    """
    said = [f"Perhaps: {in_words(facts.labels)}."] if facts.labels else []
    if numbered and facts.objects:
        places = [
            f"{number} at {','.join(f'{value:.0f}' for value in box)}"
            for number, box in enumerate(facts.objects, 1)
        ]
        said.append(f"Objects: {'; '.join(places)}.")
    return " ".join(said)


def lines_about(about: About) -> list[str]:
    """What an image shows, a line for its labels and one for its colours, as far as there are any."""
    labels = [f"{_named(label)} {_percent(label.confidence)}" for label in about.labels]
    shares: dict[tuple[str, bool], float] = {}
    for colour in about.colours:
        key = (str(colour["name"]), bool(colour["background"]))
        shares[key] = shares.get(key, 0.0) + float(str(colour["share"]))
    colours = [
        f"{name} {_percent(share)}{' (background)' if background else ''}"
        for (name, background), share in sorted(shares.items(), key=lambda one: -one[1])
    ]
    said = [f"perhaps: {', '.join(labels)}"] if labels else []
    if colours:
        said.append(f"colours: {', '.join(colours)}")
    if about.objects:
        said.append(counted(len(about.objects), "object"))
    return said


def _named(label: Label) -> str:
    return label.name if label.name == label.parent else f"{label.name} ({label.parent})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
