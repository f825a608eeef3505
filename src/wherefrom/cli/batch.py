"""Several queries in one run: each is answered and told by itself, and a broken one stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wherefrom.cli.common import error_json, print_json, say
from wherefrom.cli.faults import error_of, print_traceback
from wherefrom.cli.queries import Asked, Queries
from wherefrom.errors import (
    Exit,
    Fault,
    FetchError,
    MachineFault,
    NotFound,
    PictureError,
    UsageError,
    WherefromError,
)
from wherefrom.printing import counted

if TYPE_CHECKING:
    from wherefrom.search.answer import Answer

Document = dict[str, Any]


class Batch:
    """A run over queries. `ask` answers one; `document` makes an answer's JSON; `tell` tells people of it.

    With `lines` each document is printed as it is done; with `json_output` all are one list at the end, also
    where the run is interrupted.
    """

    def __init__(
        self,
        ask: Callable[[Asked, int], list[Answer]],
        document: Callable[[list[Answer]], Document],
        tell: Callable[[Asked, list[Answer]], None],
        *,
        json_output: bool,
        lines: bool,
    ) -> None:
        self._ask = ask
        self._document = document
        self._tell = tell
        self._lines = lines
        self._documents: list[Document] | None = [] if json_output else None
        self._matched = self._done = 0
        self._failed: list[WherefromError] = []

    def run(self, queries: Queries) -> Exit:
        """Answer all of them; gives how the command ends."""
        try:
            for number, query in enumerate(queries, 1):
                self._one(query, number, queries)
        except KeyboardInterrupt:
            self._print()
            raise
        self._print()
        if queries.skipped:
            why = ", ".join(f"{count:,} {code}" for code, count in queries.skipped.most_common())
            say(f"skipped in folders: {counted(queries.skipped.total(), 'file')} ({why})")
        if not self._done and not self._failed:
            say("There was no picture to search for.")
        return self._end(queries)

    def _one(self, query: Asked, number: int, queries: Queries) -> None:
        try:
            answers = self._answers(query, number)
        except WherefromError as error:
            if queries.skips(query, error):
                return
            if not _of_the_query(error):
                raise
            self._failed.append(error)
            self._put({"query_path": query.name, "error": error_json(error)})
            said = str(error)
            about = "" if error.path is not None or query.name in said else f"{query.name}: "
            say(f"wherefrom: {about}{said}")
            return
        self._done += 1
        self._matched += any(answer.matches for answer in answers)
        self._put({"query_path": query.name} | self._document(answers) if self._is_json else {})
        self._tell(query, answers)

    def _answers(self, query: Asked, number: int) -> list[Answer]:
        """Raises a WherefromError, whatever went wrong."""
        if isinstance(query.source, WherefromError):
            raise query.source
        try:
            return self._ask(query, number)
        except WherefromError:
            raise
        except Exception as error:
            print_traceback(error)
            raise error_of(error, ()) from error

    def _print(self) -> None:
        if self._documents is not None:
            print_json(self._documents)

    @property
    def _is_json(self) -> bool:
        return self._lines or self._documents is not None

    def _put(self, document: Document) -> None:
        if self._lines:
            print_json(document, line=True)
        elif self._documents is not None:
            self._documents.append(document)

    def _end(self, queries: Queries) -> Exit:
        if any(isinstance(error, Fault) for error in self._failed):
            return Exit.FAULT
        if self._failed and queries.is_one:
            return self._failed[0].exit_code
        if self._failed:
            return Exit.SOME_FAILED if self._done else Exit.PICTURE
        return Exit.OK if self._matched else Exit.NOTHING_FOUND


def _of_the_query(error: WherefromError) -> bool:
    """Whether an error says something of one query, and nothing of the next."""
    if isinstance(error, MachineFault):
        return False
    return isinstance(error, PictureError | FetchError | NotFound | UsageError | Fault)
