"""What every `CommittingIndex` must do."""

# ruff: noqa: S101 - a contract asserts

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from consistent_s3.core.errors import (
    NumberTakenError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import (
    CommittingIndex,
)
from consistent_s3.core.versions import Details, KnownDetails, Version


class CommittingIndexContract:
    """The promises of `CommittingIndex`, one test each.

    1. What was advanced is `newest`, `at` and first in `history`, with everything that a version tells.
    2. A version that was advanced after any other number than the newest is refused, and nothing is changed.
    3. Names are bytes: case, Unicode normal form, a trailing space, a common beginning keep them apart.
    4. `history` is in descending order, and holds tombstones; `before` and `limit` cut it.
    5. `listdir` shows what is current, and every directory that has a name below it, each sorted.
    6. `forget` drops versions for good, never a newest that is no tombstone; `committed` is what is left.

    Not covered: two writers at once, and commits without an answer.
    """

    @pytest.fixture
    def index(self) -> CommittingIndex:
        """Return an empty index; override it."""
        raise NotImplementedError("Override the fixture `index` with one that returns the index to be tested.")

    def test_name_that_was_never_written_has_nothing(self, index: CommittingIndex) -> None:
        """Promise 1."""
        assert index.newest("a.txt") is None
        assert index.relearn("a.txt") is None
        assert index.at("a.txt", 1) is None
        assert list(index.history("a.txt")) == []
        assert index.committed(["a.txt"]) == {"a.txt": []}
        assert index.listdir("") == ([], [])

    def test_version_comes_back_with_all_that_it_tells(self, index: CommittingIndex) -> None:
        """Promise 1."""
        made = a_version(
            "dir/a.txt",
            1,
            author="Ann Ü",
            comment="Why?\nSo. 😀",
            original_name="Ä b.txt",
            content_type="text/x-long; charset=" + "u" * 300,
            content_encoding="gzip",
            checksum="0f" * 32,
            predecessor=2**62,
            predecessor_etag='W/"1"',
            restored_from=3,
            body_key="dir/a.txt.-v-body/" + "0" * 24 + ".txt",
            body_size=2**40,
        )

        index.advance(made, after=0)

        for found in (index.newest("dir/a.txt"), index.relearn("dir/a.txt"), index.at("dir/a.txt", 1)):
            assert found == made
            assert (found.size, found.modified, found.etag) == (made.size, made.modified, made.etag)
            assert found.tombstone is False
            assert found.details == made.details
        assert [version.details for version in index.history("dir/a.txt")] == [made.details]

    def test_text_that_no_database_keeps_does_not_stop_a_write(self, index: CommittingIndex) -> None:
        """Promise 1."""
        index.advance(a_version("a.txt", 1, author="half \udcff", comment="a\0b"), after=0)

        newest = index.newest("a.txt")
        assert newest is not None
        assert newest.author.startswith("half ")

    def test_next_version_is_the_newest(self, index: CommittingIndex) -> None:
        """Promises 1 and 4."""
        versions = advance(index, "a.txt", 1, 2, 7, 2**63 - 1)

        assert index.newest("a.txt") == versions[-1]
        assert index.at("a.txt", 7) == versions[2]
        assert index.at("a.txt", 3) is None
        assert list(index.history("a.txt")) == versions[::-1]

    @pytest.mark.parametrize("number", [-1, 0, 2**63, 2**70], ids=["negative", "zero", "too great", "far too great"])
    def test_impossible_number_is_not_there(self, index: CommittingIndex, number: int) -> None:
        """Promise 1."""
        advance(index, "a.txt", 1)

        assert index.at("a.txt", number) is None

    @pytest.mark.parametrize(
        ("number", "after"),
        [(1, 0), (2, 1), (3, 0), (4, 3), (4, 7)],
        ids=["as the first", "as the last but one", "the same number", "a number that is free", "after what never was"],
    )
    def test_version_after_another_than_the_newest_is_refused(
        self, index: CommittingIndex, number: int, after: int
    ) -> None:
        """Promise 2."""
        versions = advance(index, "a.txt", 1, 2, 3, 5)

        with pytest.raises(NumberTakenError):
            index.advance(a_version("a.txt", number, write_id="another"), after=after)

        assert list(index.history("a.txt")) == versions[::-1]
        assert index.newest("a.txt") == versions[-1]
        assert index.relearn("a.txt") == versions[-1]

    def test_refused_first_version_leaves_no_name(self, index: CommittingIndex) -> None:
        """Promise 2."""
        with pytest.raises(NumberTakenError):
            index.advance(a_version("dir/a.txt", 2), after=1)

        assert index.newest("dir/a.txt") is None
        assert index.listdir("") == ([], [])
        index.advance(a_version("dir/a.txt", 1), after=0)
        assert index.listdir("dir") == ([], ["a.txt"])

    def test_names_that_look_alike_are_others(self, index: CommittingIndex) -> None:
        """Promises 3 and 5."""
        names = [
            "key",
            "key2",
            "KEY",
            "key ",
            " key",
            "k\u00e9y",
            "ke\u0301y",
            "key.txt",
            "k_y",
            "k%y",
            "straße",
            "strasse",
        ]
        names += [f"{name}/a" for name in names] + ["key/a/b", "key/A"]
        for name in names:
            index.advance(a_version(name, 1, comment=name), after=0)

        assert {name: index.newest(name).comment for name in names} == {name: name for name in names}  # type: ignore[union-attr]
        assert {name: len(list(index.history(name))) for name in names} == dict.fromkeys(names, 1)
        assert {name: len(found) for name, found in index.committed(names).items()} == dict.fromkeys(names, 1)
        top = sorted(name for name in names if "/" not in name)
        assert index.listdir("") == (top, top)
        assert index.listdir("key") == (["a"], ["A", "a"])
        assert index.listdir("KEY") == ([], ["a"])
        assert index.listdir("key ") == ([], ["a"])
        assert index.listdir("k_y") == ([], ["a"])
        assert index.listdir("k%y") == ([], ["a"])

    def test_long_names_that_differ_at_their_end_are_others(self, index: CommittingIndex) -> None:
        """Promise 3."""
        names = [f"{'ü' * 200}/{'x' * 498}{end}" for end in "ab"]
        for name in names:
            index.advance(a_version(name, 1, comment=name[-1]), after=0)

        assert [len(name.encode()) for name in names] == [900, 900]
        assert [index.newest(name).comment for name in names] == ["a", "b"]  # type: ignore[union-attr]
        assert index.listdir("ü" * 200)[1] == sorted(name.rpartition("/")[2] for name in names)

    def test_tombstone_is_newest_and_hides_the_name_from_its_directory(self, index: CommittingIndex) -> None:
        """Promises 4 and 5."""
        [first] = advance(index, "dir/a.txt", 1)
        tombstone = a_version("dir/a.txt", 2, tombstone=True)
        advance(index, "dir/b.txt", 1)

        index.advance(tombstone, after=1)

        newest = index.newest("dir/a.txt")
        assert newest == tombstone
        assert newest.tombstone
        assert list(index.history("dir/a.txt")) == [tombstone, first]
        assert index.listdir("dir") == ([], ["b.txt"])

    def test_name_written_again_after_its_deletion_is_shown(self, index: CommittingIndex) -> None:
        """Promise 5."""
        advance(index, "dir/a.txt", 1)
        index.advance(a_version("dir/a.txt", 2, tombstone=True), after=1)

        index.advance(a_version("dir/a.txt", 3), after=2)

        assert index.listdir("dir") == ([], ["a.txt"])

    def test_directories_are_shown_once_each_and_sorted(self, index: CommittingIndex) -> None:
        """Promise 5."""
        for name in ("b/x/1", "b/x/2", "b/y", "a/1", "c", "ba/1", "b.txt"):
            index.advance(a_version(name, 1), after=0)

        assert index.listdir("") == (["a", "b", "ba"], ["b.txt", "c"])
        assert index.listdir("b") == (["x"], ["y"])
        assert index.listdir("b/") == (["x"], ["y"])
        assert index.listdir("missing") == ([], [])

    @pytest.mark.parametrize(
        ("before", "limit", "expected"),
        [
            (None, None, [5, 3, 2, 1]),
            (3, None, [2, 1]),
            (4, None, [3, 2, 1]),
            (2**63, None, [5, 3, 2, 1]),
            (1, None, []),
            (None, 2, [5, 3]),
            (5, 2, [3, 2]),
            (None, 0, []),
        ],
    )
    def test_history_is_cut_as_asked(
        self, index: CommittingIndex, before: int | None, limit: int | None, expected: list[int]
    ) -> None:
        """Promise 4."""
        advance(index, "a.txt", 1, 2, 3, 5)
        advance(index, "a.txt2", 1, 2, 3, 4)

        numbers = [version.number for version in index.history("a.txt", before=before, limit=limit)]

        assert numbers == expected

    def test_committed_versions_are_told_for_each_name(self, index: CommittingIndex) -> None:
        """Promise 6."""
        a, b = advance(index, "a", 1, 2, 3), advance(index, "b", 1)

        assert index.committed(["b", "missing", "a"]) == {"a": a[::-1], "b": b, "missing": []}

    def test_forgotten_versions_are_gone_and_the_others_stay(self, index: CommittingIndex) -> None:
        """Promise 6."""
        versions = advance(index, "a.txt", 1, 2, 3, 4)
        others = advance(index, "b.txt", 1, 2)

        index.forget([versions[0], versions[2], others[0]])
        index.forget([versions[0]])

        assert list(index.history("a.txt")) == [versions[3], versions[1]]
        assert index.at("a.txt", 1) is None
        assert list(index.history("b.txt")) == [others[1]]
        index.advance(a_version("a.txt", 5), after=4)

    def test_what_is_current_is_not_forgotten(self, index: CommittingIndex) -> None:
        """Promise 6."""
        versions = advance(index, "a.txt", 1, 2)

        index.forget(versions)

        assert index.newest("a.txt") == versions[1]
        assert list(index.history("a.txt")) == [versions[1]]

    def test_name_whose_last_tombstone_is_forgotten_begins_again(self, index: CommittingIndex) -> None:
        """Promise 6."""
        [first] = advance(index, "dir/a.txt", 1)
        tombstone = a_version("dir/a.txt", 2, tombstone=True)
        index.advance(tombstone, after=1)

        index.forget([first, tombstone])

        assert index.newest("dir/a.txt") is None
        assert index.listdir("") == ([], [])
        with pytest.raises(NumberTakenError):
            index.advance(a_version("dir/a.txt", 3), after=2)
        index.advance(a_version("dir/a.txt", 1), after=0)


def a_version(name: str, number: int, *, write_id: str = "", tombstone: bool = False, **details: Any) -> Version:
    """Return a version as a writer makes it."""
    write_id = write_id or f"{number:024x}"
    return Version(
        name=name,
        number=number,
        key=Layout().version_key(name, number, write_id=write_id),
        size=2**41,
        modified=datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        etag="0a" * 16,
        tombstone=tombstone,
        source=KnownDetails(Details(write_id=write_id, tombstone=tombstone, **details)),
    )


def advance(index: CommittingIndex, name: str, *numbers: int) -> list[Version]:
    """Make versions with these numbers, one after the other."""
    made, after = [], 0
    for number in numbers:
        made.append(a_version(name, number))
        index.advance(made[-1], after=after)
        after = number
    return made
