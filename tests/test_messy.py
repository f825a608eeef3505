"""The messy folder: nothing unique and no original is among what could go, and every file has an outcome."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

import wherefrom
from tests.messy import Truth, make
from wherefrom.groups import Group
from wherefrom.outcome import Report
from wherefrom.sources.folder import path_of


class Week:
    """A folder made, indexed and looked through."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.folder = root / "Pictures"
        self.truth: Truth = make(self.folder, seed)
        plain = wherefrom.Settings(model="none")
        with wherefrom.open(root / "photos.wherefrom", create=True, settings=plain) as photos:
            self.outcomes: dict[str, str] = {}

            def told(outcome: wherefrom.Outcome, _: Report) -> None:
                self.outcomes[self.name(outcome.uri)] = outcome.status.value

            self.report = photos.add(self.folder, on_outcome=told)
            self.groups = list(photos.duplicates())

    def name(self, uri: str) -> str:
        """The path below the folder."""
        path = path_of(uri)
        assert path is not None
        return os.path.relpath(path, self.folder)

    def suggestions(self) -> dict[str, str]:
        """What is said of each file: keep, spare, choice, part, or none."""
        said = dict.fromkeys(self.truth.files, "none")
        for group in sorted(self.groups, key=lambda group: group.kind == "picture"):
            for name, suggestion in self.members(group):
                said[name] = suggestion
        return said

    def members(self, group: Group) -> list[tuple[str, str]]:
        """The files of a group with what is suggested of each."""
        assert group.place is not None
        first = "part" if group.kind == "parts" else "choice" if group.choice else "keep"
        others = [(self.name(one.place.uri), one.suggestion) for one in group.others if one.place]
        return [(self.name(group.place.uri), first), *others]

    def decided(self) -> dict[str, str]:
        """What was decided of the files of which it could be wrong: those that are told in a group, and of
        pictures that are alike and different also those that are told in none."""
        said = self.suggestions()
        return {name: what for name, what in said.items() if what != "none" or self.truth.files[name].set}

    def wrong(self) -> list[str]:
        """The decisions by which something would be lost, or is called what it is not."""
        files, found = self.truth.files, []
        said = self.suggestions()
        gone = {name for name, suggestion in said.items() if suggestion == "spare"}
        for name in sorted(gone):
            file = files[name]
            if file.shot is not None and not self.twins(name) - gone:
                found.append(f"{name} belongs to {file.shot}")
            if self.twins(name) - gone:
                continue  # the same bytes stay
            rest = {other for other in set(files) - gone if files[other].subject == file.subject}
            alike = name.rpartition("/")[2][:4]
            if file.part and any(other.rpartition("/")[2].startswith(alike) for other in rest):
                continue  # an enlargement of the same crop
            if not file.made or file.part:
                found.append(f"{name} is {'a part' if file.part else 'an original'}")
            elif all(files[other].made for other in rest):
                found.append(f"{name}: its original goes, too")
        for group in self.groups:
            names = [name for name, _ in self.members(group)]
            first, others = files[names[0]], [files[name] for name in names[1:]]
            derived = group.kind == "picture" and (first.made or first.same is not None)
            if derived and any(one.subject == first.subject and not one.made for one in others):
                found.append(f"{names[0]} is the first of its group")
        return found

    def twins(self, name: str) -> set[str]:
        """The other files of the same bytes."""
        files = self.truth.files
        first = files[name].same or name
        return {other for other, one in files.items() if (one.same or other) == first} - {name}


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return Week(tmp_path_factory.mktemp("week"))


def test_nothing_of_value_is_told_to_go(week: Week) -> None:
    assert len(week.truth.files) >= 400
    assert len(week.decided()) >= 300
    assert week.wrong() == []


def test_what_could_go_is_told(week: Week) -> None:
    said = week.suggestions()
    backed = [name for name, file in week.truth.files.items() if file.same and not name.startswith("links/")]
    assert all(said[name] == "spare" for name in backed), [name for name in backed if said[name] != "spare"]
    counts = Counter(said[name] for name, file in week.truth.files.items() if file.made and not file.part)
    assert counts["spare"] >= 0.5 * counts.total()
    assert counts["keep"] == 0


def test_parts_are_told_and_never_to_go(week: Week) -> None:
    said = week.suggestions()
    parts = [name for name, file in week.truth.files.items() if file.part]
    assert sum(said[name] != "none" for name in parts) >= 0.8 * len(parts)
    assert all(said[name] != "spare" for name in parts if "enlarged" not in name)


def test_files_of_one_shot_are_kept_together(week: Week) -> None:
    said = week.suggestions()
    for number in range(4):
        stem = f"DCIM/DSC_{4000 + number}"
        assert said[f"{stem}.DNG"] in ("keep", "none")
        assert said[f"{stem}.JPG"] in ("keep", "none")
        assert said[f"Backup/DSC_{4000 + number}.JPG"] == "spare"


def test_every_file_has_an_outcome_that_is_true(week: Week) -> None:
    assert set(week.truth.files) == set(week.outcomes)
    for name, file in week.truth.files.items():
        # Of equal bytes the first that is read is added.
        one_of_many = file.outcome in ("added", "known") and week.twins(name)
        due = {"added", "known"} if one_of_many else {file.outcome}
        assert week.outcomes[name] in due, name
