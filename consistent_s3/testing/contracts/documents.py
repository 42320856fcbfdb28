"""What `Documents` must do on every store and index, and with every serializer of what JSON has."""

# ruff: noqa: S101 - a contract asserts

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from consistent_s3.core.documents import Documents
from consistent_s3.core.errors import AlreadyExistsError, ConflictError, PolicyError, VersionNotFoundError
from consistent_s3.core.versions import Version
from consistent_s3.testing.contracts.racing import in_threads

PATIENCE = timedelta(minutes=10)
"""For how long racers try: on a slow machine somebody may be beaten again and again."""


class DocumentsContract:
    """The guarantees of `Documents`, one test each.

    Inherit, and give a fixture `documents` whose archive tells writers of each other, with a clock that goes: it must
    not number by the clock with an index that lists.

    Not covered: lost answers, and what is collected while it is read.
    """

    racers: int = 16
    """Threads that change one document at once."""
    updates: int = 5
    """How often each of them does."""

    @pytest.fixture
    def documents(self) -> Documents[Any]:
        """Return the documents to be tested; override it."""
        raise NotImplementedError("Override the fixture `documents` with one that returns the documents to be tested.")

    @pytest.fixture
    def leave(self) -> Callable[[], object]:
        """Return what each thread does last; override it where connections are a thread's own, as Django's are."""
        return lambda: None

    @pytest.fixture
    def key(self) -> str:
        """Return a key that no other test uses."""
        return f"contract-{uuid.uuid4().hex}"

    # Reading

    def test_document_that_was_never_written_is_the_default(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 1; reading writes nothing, and the default stays the caller's."""
        default: dict[str, list[int]] = {"done": []}

        found = documents.read(key, default)
        found.value["done"].append(1)

        assert documents.read(key, default).value == {"done": []}
        assert (documents.read(key).value, found.version, found.number) == (None, None, 0)
        assert list(documents.history(key)) == []
        assert keys_under(documents, key) == []

    @pytest.mark.parametrize(
        "value",
        [{"text": "Grüße \U0001f600", "list": [1, 2.5, None, True, {"a": []}]}, [], "", 0, False, {"x": "y" * 100_000}],
        ids=["mixed", "no items", "no text", "zero", "false", "large"],
    )
    def test_value_comes_back_as_it_was_written(self, documents: Documents[Any], key: str, value: Any) -> None:
        """Guarantee 1."""
        written = documents.write(key, value, author="Ann Ü", comment="Why?\nSo.")

        found = documents.read(key, "default")

        assert (found.value, type(found.value)) == (value, type(value))
        assert (found.version, found.number) == (written, written.number)
        assert [(past.number, past.read()) for past in documents.history(key)] == [(written.number, value)]
        [past] = documents.history(key)
        assert (past.version.author, past.version.comment) == ("Ann Ü", "Why?\nSo.")

    def test_newest_value_is_read(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 1."""
        for value in ("a", "b", "a"):
            written = documents.write(key, value)

            assert documents.read(key).value == value
            assert documents.read(key).version == written

    def test_keys_that_look_alike_are_other_documents(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 1."""
        names = [f"{key}{end}" for end in ("", "2", "/a", "/A", "/a/b", "/ü", "/u\u0308", "/a.txt")]
        for number, name in enumerate(names):
            documents.write(name, number, expected=0)

        documents.update(names[0], lambda value: value + 100)
        documents.delete(names[1])

        left = [names[0], *names[2:]]
        assert [documents.read(name).value for name in names] == [100, None, *range(2, len(names))]
        assert [len(list(documents.history(name))) for name in names] == [2, 2, *[1] * (len(names) - 2)]
        assert keys_under(documents, key) == sorted(left)

    def test_history_has_every_value_newest_first(self, documents: Documents[Any], key: str) -> None:
        """Deletions included, which have no value."""
        written = [
            documents.write(key, 1),
            documents.update(key, lambda value: value + 1).version,
            documents.delete(key),
            documents.write(key, 4),
        ]

        past = list(documents.history(key))

        assert [one.version for one in past] == written[::-1]
        assert [one.number for one in past] == sorted({one.number for one in past}, reverse=True)
        assert [one.deleted for one in past] == [False, True, False, False]
        assert [one.read() for one in past if not one.deleted] == [4, 2, 1]
        with pytest.raises(VersionNotFoundError):
            past[1].read()
        assert [one.number for one in documents.history(key, before=past[1].number)] == [past[2].number, past[3].number]

    # Writing

    def test_document_that_is_expected_not_to_exist_is_made_once(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 2."""
        made = documents.write(key, "first", expected=0)

        with pytest.raises(AlreadyExistsError) as caught:
            documents.write(key, "second", expected=0)

        assert (caught.value.name, caught.value.expected, caught.value.actual) == (documents.name(key), 0, made.number)
        assert [(past.number, past.read()) for past in documents.history(key)] == [(made.number, "first")]

    def test_version_that_is_expected_is_replaced(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 2."""
        for value in range(4):
            written = documents.write(key, value, expected=documents.read(key).number)

            assert (documents.read(key).value, documents.read(key).number) == (value, written.number)

    def test_another_version_than_expected_is_refused_naming_both(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 2; nothing is changed."""
        first, second = documents.write(key, 1), documents.write(key, 2)
        attempts: list[Callable[[int], object]] = [
            lambda expected: documents.write(key, 3, expected=expected),
            lambda expected: documents.delete(key, expected=expected),
        ]

        for attempt in attempts:
            for expected in (first.number, second.number + 1):
                with pytest.raises(ConflictError) as caught:
                    attempt(expected)
                assert (caught.value.expected, caught.value.actual) == (expected, second.number)
                assert all(f" {number} " in f"{caught.value}" for number in (expected, second.number))
        with pytest.raises(ConflictError) as caught:
            documents.write(f"{key}-2", 1, expected=1)
        assert (caught.value.expected, caught.value.actual) == (1, 0)

        assert [past.version for past in documents.history(key)] == [second, first]
        assert list(documents.history(f"{key}-2")) == []

    @pytest.mark.parametrize("expected", [-1, True, "1", 1.0], ids=repr)
    def test_what_is_no_version_cannot_be_expected(self, documents: Documents[Any], key: str, expected: Any) -> None:
        """And changes nothing."""
        first = documents.write(key, 1)

        with pytest.raises(PolicyError):
            documents.write(key, 2, expected=expected)
        with pytest.raises(PolicyError):
            documents.delete(key, expected=expected)

        assert documents.read(key).version == first

    def test_racing_writers_who_expect_a_version_have_one_winner_each_time(
        self, documents: Documents[Any], key: str, leave: Callable[[], object]
    ) -> None:
        """Guarantee 2."""
        patient, number = with_patience(documents), 0
        for turn in range(1, self.updates + 1):
            won: list[Version] = []
            lost: list[ConflictError] = []

            def work(won: list[Version] = won, lost: list[ConflictError] = lost, expected: int = number) -> None:
                mark = uuid.uuid4().hex
                try:
                    won.append(patient.write(key, mark, expected=expected, comment=mark))
                except ConflictError as error:
                    lost.append(error)
                finally:
                    leave()

            in_threads(self.racers, work)

            newest = documents.read(key)
            assert [newest.version] == won
            assert newest.value == won[0].comment
            assert len(lost) == self.racers - 1
            assert len(list(documents.history(key))) == turn
            number = newest.number

    # Deleting

    def test_document_that_was_deleted_is_the_default_and_can_be_made_again(
        self, documents: Documents[Any], key: str
    ) -> None:
        """Guarantees 1 and 2."""
        documents.write(key, "old")
        deleted = documents.delete(key)
        assert deleted is not None

        found = documents.read(key, "default")
        assert (found.value, found.version, found.number) == ("default", None, 0)
        assert keys_under(documents, key) == []
        assert documents.delete(key) is None
        assert next(documents.history(key)).version == deleted

        assert documents.write(key, "new", expected=0).number > deleted.number
        assert documents.read(key).value == "new"
        documents.delete(key)
        assert documents.update(key, lambda value: [*value, 1], [0]).value == [0, 1]
        assert len(list(documents.history(key))) == 5

    def test_deleting_what_is_not_there_writes_nothing(self, documents: Documents[Any], key: str) -> None:
        """As often as it is asked."""
        assert (documents.delete(key), documents.delete(key)) == (None, None)
        assert list(documents.history(key)) == []

    # Updating

    def test_update_begins_with_the_default_and_goes_on_with_what_is_there(
        self, documents: Documents[Any], key: str
    ) -> None:
        """Guarantee 3; also where the function changes what it was given."""
        default: dict[str, Any] = {"done": []}

        def do(value: dict[str, Any]) -> dict[str, Any]:
            value["done"].append(len(value["done"]))
            return value

        for done in ([0], [0, 1], [0, 1, 2]):
            updated = documents.update(key, do, default, author="ann", comment=f"{done}")

            assert updated.value == {"done": done}
            assert documents.read(key) == updated
            assert next(documents.history(key)).version.comment == f"{done}"
        assert default == {"done": []}
        assert len(list(documents.history(key))) == 3

    def test_update_on_which_others_write_is_made_on_top_of_that(self, documents: Documents[Any], key: str) -> None:
        """Guarantee 3; at its first version, too."""
        for begun in ([], ["mine", "theirs"]):
            given: list[list[str]] = []

            def add(value: list[str], given: list[list[str]] = given) -> list[str]:
                given.append(list(value))
                if len(given) == 1:
                    documents.write(key, [*value, "theirs"])
                return [*value, "mine"]

            updated = documents.update(key, add, [])

            assert given == [begun, [*begun, "theirs"]]
            assert documents.read(key) == updated
            assert updated.value == [*begun, "theirs", "mine"]
            documents.write(key, ["mine", "theirs"])

    def test_update_that_changes_nothing_writes_nothing(self, documents: Documents[Any], key: str) -> None:
        """Neither where there is a document, nor where the default is what it would be."""
        absent = documents.update(key, lambda value: value, {"done": 0})
        assert (absent.value, absent.version) == ({"done": 0}, None)
        assert list(documents.history(key)) == []

        written = documents.write(key, {"done": 1})
        same = documents.update(key, dict, {"done": 0})
        assert (same.value, same.version) == ({"done": 1}, written)
        assert [past.version for past in documents.history(key)] == [written]

    @pytest.mark.parametrize("value", [None, {"done": 1}], ids=["none yet", "one"])
    def test_update_whose_function_fails_writes_nothing(self, documents: Documents[Any], key: str, value: Any) -> None:
        """Guarantee 4; `None` by mistake is a failure."""
        if value is not None:
            documents.write(key, value)
        before = [past.version for past in documents.history(key)]

        def fail(value: dict[str, Any]) -> dict[str, Any]:
            value["done"] = 2
            raise LookupError("no")

        with pytest.raises(LookupError, match="no"):
            documents.update(key, fail, {})
        with pytest.raises(TypeError):
            documents.update(key, lambda value: value.update(done=2), {})

        assert documents.read(key).value == value
        assert [past.version for past in documents.history(key)] == before

    def test_racing_updates_lose_nothing_and_each_is_in_the_history_once(
        self, documents: Documents[Any], key: str, leave: Callable[[], object]
    ) -> None:
        """Guarantee 3."""
        patient = with_patience(documents)
        acknowledged: dict[str, tuple[list[str], Version | None]] = {}

        def add(mark: str, marks: list[str]) -> list[str]:
            return [*marks, mark]

        def work() -> None:
            try:
                for mark in [uuid.uuid4().hex for _ in range(self.updates)]:
                    updated = patient.update(key, partial(add, mark), [], comment=mark)
                    acknowledged[mark] = (updated.value, updated.version)
            finally:
                leave()

        in_threads(self.racers, work)

        marks = documents.read(key).value
        assert len(marks) == self.racers * self.updates
        assert set(marks) == set(acknowledged)
        past = list(documents.history(key))[::-1]
        assert [(one.read(), one.version) for one in past] == [acknowledged[mark] for mark in marks]
        assert [one.version.comment for one in past] == marks


def keys_under(documents: Documents[Any], key: str) -> list[str]:
    """Return the keys that begin with one, sorted."""
    return sorted(filter(lambda one: one.startswith(key), documents.keys()))


def with_patience(documents: Documents[Any]) -> Documents[Any]:
    """Return the same documents, whose updates give up late."""
    archive = documents.archive
    return replace(documents, archive=replace(archive, timing=replace(archive.timing, patience=PATIENCE)))
