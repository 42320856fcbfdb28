from __future__ import annotations

import pickle
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import (
    AlreadyExistsError,
    ConflictError,
    DeadlinePassedError,
    OutcomeUnknownError,
    PreconditionTrippedError,
    VersionNotFoundError,
)
from consistent_s3.core.seams import Attributes, ObjectHead, ObjectInfo
from consistent_s3.core.versions import (
    Details,
    KnownDetails,
    LazyDetails,
    Version,
    from_head,
    merge_metadata,
    projects_metadata,
    to_metadata,
)
from tests.core.building import write

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = "media/a.iso.-v/9999999999999999997.iso"
FULL = Details(
    write_id="0a1b2c3d4e5f60718293a4b5",
    author="Ann Müller",
    comment="new prices =?utf-8?q?x?= 100 %",
    original_name="Änderung 7.iso",
    checksum="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    predecessor=1,
    predecessor_etag="d41d8cd98f00b204e9800998ecf8427e-12",
    restored_from=1,
    body_key="media/a.iso.-v-body/ffffffffffffffffffffffff.iso",
    body_size=5_000_000_000_000,
)
TEXTS = st.text(max_size=2000)


def head(metadata: dict[str, str], *, key: str = KEY) -> ObjectHead:
    info = ObjectInfo(key=key, size=0, etag="e", modified=NOON)
    return ObjectHead(info=info, metadata=metadata, content_type="", content_encoding="")


def version(number: int = 2, key: str = KEY, details: Details = FULL) -> Version:
    source = KnownDetails(details)
    return Version(name="media/a.iso", number=number, key=key, size=3, modified=NOON, etag="e", source=source)


def test_details_survive_the_round_trip_through_metadata() -> None:
    assert from_head(head(to_metadata(FULL))) == FULL


def test_tombstone_survives_the_round_trip_through_metadata() -> None:
    details = Details(write_id="0" * 24, tombstone=True, author="ann", comment="gone")

    assert from_head(head(to_metadata(details))) == details


def test_metadata_is_the_public_layout() -> None:
    assert to_metadata(FULL) == {
        "v-id": "0a1b2c3d4e5f60718293a4b5",
        "v-author": "Ann%20M%C3%BCller",
        "v-file": "%C3%84nderung%207.iso",
        "v-sha": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "v-prev": "1",
        "v-prev-etag": "d41d8cd98f00b204e9800998ecf8427e-12",
        "v-from": "1",
        "v-body": "ffffffffffffffffffffffff.iso",
        "v-size": "5000000000000",
        "v-comment-1": "new%20prices%20%3D%3Futf-8%3Fq%3Fx%3F%3D%20100%20%25",
    }
    assert to_metadata(Details(tombstone=True)) == {"v-kind": "tombstone"}
    assert to_metadata(Details()) == {}


@given(author=TEXTS, comment=st.text(max_size=80), name=TEXTS, etag=TEXTS)
def test_metadata_is_short_ascii_whatever_people_write(author: str, comment: str, name: str, etag: str) -> None:
    details = replace(FULL, author=author, comment=comment, original_name=name, predecessor_etag=etag)

    metadata = to_metadata(details)

    assert all(key.isascii() and key.replace("-", "").isalnum() and key == key.lower() for key in metadata)
    assert all(value.isascii() and value.isprintable() and " " not in value for value in metadata.values())
    assert max(len(value) for value in metadata.values()) <= 250
    assert from_head(head(metadata)).comment == comment.encode("utf-8", "replace").decode()


def test_greatest_metadata_fits_2_kilobytes() -> None:
    metadata = to_metadata(
        replace(
            FULL,
            tombstone=True,
            author="a" * 250,
            comment="c" * 1000,
            original_name="a" * 300 + ".jpeg",
            predecessor=2**63 - 1,
            predecessor_etag="e" * 1000,
            restored_from=2**63 - 1,
            body_key="a.-v-body/" + "f" * 24 + "." + "x" * 16,
            body_size=2**63 - 1,
        )
    )

    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
    assert max(len(value) for value in metadata.values()) <= 250


@pytest.mark.parametrize(("character", "fits", "size"), [("c", 1000, 1001), ("ü", 166, 1002), ("😀", 83, 1008)])
def test_comment_too_long_is_refused_and_never_cut(character: str, fits: int, size: int) -> None:
    longest = character * fits

    assert from_head(head(to_metadata(Details(comment=longest)))).comment == longest
    with pytest.raises(ValueError, match="comment") as refused:
        to_metadata(Details(comment=longest + character))

    assert str(refused.value) == f"The comment takes {size} bytes when encoded; 1000 is the most. Shorten it."


@pytest.mark.parametrize(
    ("author", "expected"),
    [("a" * 250, "a" * 250), ("a" * 251, "a" * 241 + "…"), ("ü" * 42, "ü" * 40 + "…"), ("a" * 10**6, "a" * 241 + "…")],
)
def test_long_author_is_shortened_visibly(author: str, expected: str) -> None:
    assert from_head(head(to_metadata(Details(author=author)))).author == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a" * 300 + ".pdf", "a" * 246 + ".pdf"),
        ("a" * 10**6 + ".pdf", "a" * 246 + ".pdf"),
        ("a" * 300, "a" * 250),
        ("." + "a" * 300, "." + "a" * 249),
        ("a." + "b" * 300, "a." + "b" * 248),
        ("a" * 246 + ".pdf", "a" * 246 + ".pdf"),
        ("ü" * 100 + ".pdf", "ü" * 41 + ".pdf"),
    ],
    ids=range(7),
)
def test_long_file_name_keeps_its_extension(name: str, expected: str) -> None:
    assert from_head(head(to_metadata(Details(original_name=name)))).original_name == expected


def test_half_of_a_surrogate_pair_in_a_file_name_is_replaced() -> None:
    assert from_head(head(to_metadata(Details(original_name="a\ud800.txt")))).original_name == "a?.txt"


@pytest.mark.parametrize(
    "spell",
    [str.upper, str.title, lambda name: name.replace("-", "_")],
    ids=["upper", "title", "underscores"],
)
def test_metadata_names_that_a_server_respelled_are_still_read(spell: object) -> None:
    metadata = {spell(name): value for name, value in to_metadata(FULL).items()}  # type: ignore[operator]

    assert from_head(head(metadata)) == FULL
    assert projects_metadata(head({**metadata, "mine": "1"})) == {"mine": "1"}


def test_foreign_object_has_empty_details() -> None:
    assert from_head(head({"v-prev": "x", "v-size": "-1", "v-from": "²", "other": "1"})) == Details()


def test_projects_metadata_travels_beside_ours_and_cannot_pose_as_ours() -> None:
    projects = {"colour": "red", "v-body": "f" * 24, "V-Id": "x", "v_kind": "tombstone"}

    merged = merge_metadata(to_metadata(Details(write_id="1" * 24)), projects)

    assert merged == {"colour": "red", "v-id": "1" * 24}


def test_versions_are_equal_if_they_are_the_same_object() -> None:
    assert version() == version(details=Details())
    assert hash(version()) == hash(version(details=Details()))
    assert version() != version(number=3)
    assert version() != version(key="other")


def test_version_tells_its_details() -> None:
    told = version()

    assert (told.author, told.comment, told.checksum, told.content_type) == (
        FULL.author,
        FULL.comment,
        FULL.checksum,
        FULL.content_type,
    )
    assert (told.original_name, told.body_key) == (FULL.original_name, FULL.body_key)


def test_version_without_an_original_name_is_called_by_the_last_segment() -> None:
    assert version(details=Details()).original_name == "a.iso"


def test_version_is_pickled_with_what_its_headers_tell(archive: Archive) -> None:
    write(archive, "a.txt", "one", details=Details(author="ann"), attributes=Attributes(content_type="text/plain"))
    [listed] = archive.history("a.txt")

    loaded = pickle.loads(pickle.dumps(listed))

    assert loaded == listed
    assert isinstance(loaded.source, KnownDetails)
    assert (loaded.author, loaded.content_type, loaded.size) == ("ann", "text/plain", 3)


def test_details_are_fetched_once_for_many_threads() -> None:
    calls: list[int] = []
    barrier = threading.Barrier(8)
    together = threading.Barrier(2)

    def fetch() -> Details:
        calls.append(1)
        with suppress(threading.BrokenBarrierError):
            together.wait(timeout=0.1)  # until a second thread is here, too, which must not be
        return FULL

    source = LazyDetails(fetch)

    def ask() -> None:
        barrier.wait()
        assert source() == FULL

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert calls == [1]


def test_details_that_could_not_be_fetched_are_fetched_when_asked_again() -> None:
    answers = iter([OSError("No answer."), FULL])

    def fetch() -> Details:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    source = LazyDetails(fetch)
    with pytest.raises(OSError, match="No answer"):
        source()

    assert source() == FULL


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("m", name="a", expected=1, actual=2),
        AlreadyExistsError("m", name="a", expected=0, actual=2),
        OutcomeUnknownError("m", name="a", number=3, write_id="f"),
        DeadlinePassedError("m", sent_before=True),
        PreconditionTrippedError("m", sent_before=True),
        VersionNotFoundError("m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_survives_pickling(error: Exception) -> None:
    loaded = pickle.loads(pickle.dumps(error))

    assert type(loaded) is type(error)
    assert (str(loaded), vars(loaded)) == ("m", vars(error))
