"""What `ConsistentS3Storage` has beyond Django's storage API: versions, and the options that shape them."""

from __future__ import annotations

import base64
import gzip
import hmac
import io
import re
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from boto3.s3.transfer import TransferConfig
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import FileResponse
from django.utils import timezone

from consistent_s3.attribution import attribution
from consistent_s3.clients import shared_client
from consistent_s3.core.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConflictError,
    PolicyError,
    VersionNotFoundError,
)
from consistent_s3.core.versions import Version
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests.answers import answering
from tests.seeding import seed, seed_tombstone

MakeStorage = Callable[..., ConsistentS3Storage]
MIB = 1024**2
SMALL_PARTS = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)


def write(storage: ConsistentS3Storage, *texts: str, name: str = "a.txt") -> list[Version]:
    return [storage.write(name, ContentFile(text.encode())) for text in texts]


def read(storage: ConsistentS3Storage, name: str = "a.txt", **which: Any) -> bytes:
    with storage.open(name, **which) as file:
        return file.read()


def numbers(storage: ConsistentS3Storage, name: str = "a.txt") -> list[int]:
    return [version.number for version in storage.history(name)]


def headers(storage: ConsistentS3Storage, version: Version) -> dict[str, Any]:
    return shared_client(storage).head_object(Bucket=storage.bucket_name, Key=version.key)


def uploads(storage: ConsistentS3Storage) -> int:
    return len(shared_client(storage).list_multipart_uploads(Bucket=storage.bucket_name).get("Uploads", []))


def status_of(url: str) -> int:
    with pytest.raises(HTTPError) as raised:
        urlopen(url)
    raised.value.close()
    return raised.value.code


# Writing


def test_a_write_returns_the_version_it_made(storage: ConsistentS3Storage) -> None:
    content = SimpleUploadedFile("C:/Müll/prices 2026.csv", b"1;2", content_type="text/csv")

    version = storage.write("a.txt", content, author="Ünsal <ü@example.org>", comment="new prices: 100 % more €")

    assert (version.name, version.number, version.size, version.tombstone) == ("a.txt", 1, 3, False)
    assert version.key == f"a.txt.-v/{10**19 - 2}.txt"
    assert (version.author, version.comment) == ("Ünsal <ü@example.org>", "new prices: 100 % more €")
    assert (version.original_name, version.content_type) == ("prices 2026.csv", "text/csv")
    assert version.etag
    assert timezone.is_aware(version.modified)


def test_the_history_tells_the_same_as_the_write(storage: ConsistentS3Storage) -> None:
    written = storage.write("a.txt", SimpleUploadedFile("b.csv", b"1;2"), author="ann", comment="why")

    (listed,) = storage.history("a.txt")

    assert listed == written
    assert listed.details == written.details
    assert (listed.size, listed.etag) == (written.size, written.etag)


def test_the_checksum_is_the_sha_256_of_the_bytes(storage: ConsistentS3Storage) -> None:
    version = storage.write("a.txt", ContentFile(b"abc"))

    assert version.checksum == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_history_is_newest_first_with_its_tombstones(storage: ConsistentS3Storage) -> None:
    write(storage, "one", "two")
    storage.delete("a.txt", author="ann", comment="not needed")
    write(storage, "four")

    history = list(storage.history("a.txt"))

    assert [(version.number, version.tombstone) for version in history] == [
        (4, False),
        (3, True),
        (2, False),
        (1, False),
    ]
    assert (history[1].author, history[1].comment, history[1].size) == ("ann", "not needed", 0)
    assert [version.number for version in storage.history("a.txt", before=3)] == [2, 1]


def test_a_history_of_nothing_is_empty(storage: ConsistentS3Storage) -> None:
    assert list(storage.history("a.txt")) == []
    assert storage.current("a.txt") is None


def test_the_current_version_is_the_newest_unless_deleted(storage: ConsistentS3Storage) -> None:
    _, second = write(storage, "one", "two")

    assert storage.current("a.txt") == second
    assert storage.version("a.txt") == second
    storage.delete("a.txt")
    assert storage.current("a.txt") is None


def test_an_expected_number_that_is_current_is_replaced(storage: ConsistentS3Storage) -> None:
    first = storage.write("a.txt", ContentFile(b"one"), expected=0)

    second = storage.write("a.txt", ContentFile(b"two"), expected=first.number)

    assert (first.number, second.number) == (1, 2)


@pytest.mark.parametrize(
    ("before", "expected", "kind", "sentence", "actual"),
    [
        pytest.param(
            ["one", "two"],
            1,
            ConflictError,
            "Version 2 of 'a.txt' is current, but 1 was expected. Read version 2 and decide again.",
            2,
            id="another was first",
        ),
        pytest.param(
            ["one", "two"],
            0,
            AlreadyExistsError,
            "Version 2 of 'a.txt' is current, but none was expected. Choose another name, or read it and decide again.",
            2,
            id="it exists",
        ),
        pytest.param(
            ["one", None],
            1,
            ConflictError,
            "'a.txt' was deleted by version 2, but 1 was expected. Undelete it, or write with expected=0.",
            0,
            id="it was deleted",
        ),
        pytest.param(
            [],
            3,
            ConflictError,
            "'a.txt' has no version, but 3 was expected. Write with expected=0.",
            0,
            id="it never was",
        ),
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda storage, expected: storage.write("a.txt", ContentFile(b""), expected=expected), id="write"),
        pytest.param(lambda storage, expected: storage.delete("a.txt", expected=expected), id="delete"),
    ],
)
def test_a_conflict_names_both_numbers_and_changes_nothing(
    storage: ConsistentS3Storage,
    change: Callable[[ConsistentS3Storage, int], object],
    before: list[str | None],
    expected: int,
    kind: type[ConflictError],
    sentence: str,
    actual: int,
) -> None:
    for text in before:
        storage.delete("a.txt") if text is None else write(storage, text)
    history = list(storage.history("a.txt"))

    with pytest.raises(kind) as raised:
        change(storage, expected)

    assert str(raised.value) == sentence
    assert (raised.value.name, raised.value.expected, raised.value.actual) == ("a.txt", expected, actual)
    assert list(storage.history("a.txt")) == history


def test_a_deleted_name_may_be_written_expecting_none_or_its_tombstone(storage: ConsistentS3Storage) -> None:
    write(storage, "one")
    storage.delete("a.txt")

    third = storage.write("a.txt", ContentFile(b"three"), expected=0)
    storage.delete("a.txt")
    fifth = storage.write("a.txt", ContentFile(b"five"), expected=4)

    assert (third.number, fifth.number) == (3, 5)


def test_the_name_that_was_uploaded_is_remembered(storage: ConsistentS3Storage) -> None:
    by_content = storage.write("a.txt", ContentFile(b"", name="own.pdf"))
    by_call = storage.write("a.txt", ContentFile(b"", name="own.pdf"), original_name="called.pdf")
    by_name = storage.write("dir/a.txt", ContentFile(b""))

    assert [version.original_name for version in (by_content, by_call, by_name)] == ["own.pdf", "called.pdf", "a.txt"]


def test_half_a_surrogate_in_an_uploaded_name_is_no_reason_to_refuse_the_bytes(storage: ConsistentS3Storage) -> None:
    version = storage.write("a.txt", ContentFile(b"text", name="h\udce4lfte.txt"))

    assert version.original_name == "h?lfte.txt"


def test_a_comment_that_does_not_fit_is_refused_before_any_request(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage), pytest.raises(ValueError, match="bytes when encoded; 1000 is the most") as raised:
        storage.write("a.txt", ContentFile(b"text"), comment="x" * 1001)

    assert str(raised.value) == "The comment takes 1001 bytes when encoded; 1000 is the most. Shorten it."


# Attribution


def test_what_is_written_in_a_block_is_attributed_to_it(storage: ConsistentS3Storage) -> None:
    with attribution(author="ann", comment="spring cleaning"):
        storage.save("a.txt", ContentFile(b"one"))
        with storage.open("a.txt", "wb") as file:
            file.write(b"two")
        storage.restore("a.txt", 1)
        storage.delete("a.txt")
        storage.undelete("a.txt")
    write(storage, "after")

    assert [(version.number, version.author, version.comment) for version in storage.history("a.txt")] == [
        (6, "", ""),
        *[(number, "ann", "spring cleaning") for number in (5, 4, 3, 2, 1)],
    ]


def test_a_block_completes_those_within_and_the_call_itself_counts(storage: ConsistentS3Storage) -> None:
    with attribution(author="ann", comment="outer"):
        with attribution(author="bob"):
            inner = storage.write("a.txt", ContentFile(b"one"))
            called = storage.write("a.txt", ContentFile(b"two"), author="eve", comment="own")
            nobody = storage.write("a.txt", ContentFile(b"three"), author="")
        with attribution(comment="inner"):
            commented = storage.write("a.txt", ContentFile(b"four"))
        outer = storage.write("a.txt", ContentFile(b"five"))

    said = [(version.author, version.comment) for version in (inner, called, nobody, commented, outer)]
    assert said == [("bob", "outer"), ("eve", "own"), ("", "outer"), ("ann", "inner"), ("ann", "outer")]


def test_a_block_ends_also_by_an_exception(storage: ConsistentS3Storage) -> None:
    with pytest.raises(RuntimeError), attribution(author="ann"):
        raise RuntimeError

    assert storage.write("a.txt", ContentFile(b"")).author == ""


# Reading versions


def test_any_version_is_read_by_number_or_by_itself(storage: ConsistentS3Storage) -> None:
    first, second = write(storage, "one", "two")

    assert read(storage) == b"two"
    assert read(storage, version=1) == b"one"
    assert read(storage, version=first) == b"one"
    assert read(storage, version=second) == b"two"
    assert read(storage, version=next(storage.history("a.txt", before=2))) == b"one"


@pytest.mark.parametrize("ask", ["open", "url", "version"])
@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (2, "Version 2 of 'a.txt' is a deletion and has no bytes."),
        (9, "'a.txt' has no version 9: it was never written, or it was collected. See its history."),
        (0, "'a.txt' has no version 0: it was never written, or it was collected. See its history."),
        (-1, "'a.txt' has no version -1: it was never written, or it was collected. See its history."),
        (2**63, f"'a.txt' has no version {2**63}: it was never written, or it was collected. See its history."),
    ],
)
def test_a_number_without_bytes_is_an_error(storage: ConsistentS3Storage, ask: str, number: int, sentence: str) -> None:
    write(storage, "one")
    storage.delete("a.txt")

    with pytest.raises(VersionNotFoundError) as raised:
        storage.version("a.txt", number) if ask == "version" else getattr(storage, ask)("a.txt", version=number)

    assert str(raised.value) == sentence


@pytest.mark.parametrize("ask", ["open", "url"])
def test_a_tombstone_cannot_be_read(storage: ConsistentS3Storage, ask: str) -> None:
    write(storage, "one")
    tombstone = storage.delete("a.txt")

    with pytest.raises(VersionNotFoundError) as raised:
        getattr(storage, ask)("a.txt", version=tombstone)

    assert str(raised.value) == "Version 2 of 'a.txt' is a deletion and has no bytes."


@pytest.mark.parametrize("ask", ["open", "url"])
def test_another_names_version_is_refused(storage: ConsistentS3Storage, ask: str) -> None:
    (version,) = write(storage, "one")

    with pytest.raises(ValueError, match="was asked for") as raised:
        getattr(storage, ask)("b.txt", version=version)

    assert str(raised.value) == "'a.txt' was given a version of, but 'b.txt' was asked for. Use its own."


@pytest.mark.parametrize(
    ("deleted", "sentence"),
    [
        (False, "'a.txt' does not exist."),
        (True, "'a.txt' was deleted by version 2. Its history still has it: undelete it to read."),
    ],
)
def test_the_error_for_a_missing_file_says_whether_it_was_deleted(
    storage: ConsistentS3Storage, deleted: bool, sentence: str
) -> None:
    if deleted:
        write(storage, "one")
        storage.delete("a.txt")

    with pytest.raises(FileNotFoundError) as raised:
        storage.open("a.txt")

    assert str(raised.value) == sentence


def test_an_open_file_keeps_to_its_version_while_others_write(storage: ConsistentS3Storage) -> None:
    write(storage, "one")

    with storage.open("a.txt") as file:
        write(storage, "two")
        storage.delete("a.txt")

        assert file.read() == b"one"
        assert file.version.number == 1
        assert urlopen(file.url).read() == b"one"


@pytest.mark.django_db
def test_a_file_erased_while_it_is_open_is_an_error(storage: ConsistentS3Storage) -> None:
    write(storage, "one")

    with storage.open("a.txt") as file:
        storage.erase("a.txt")

        with pytest.raises(VersionNotFoundError) as raised:
            file.read()

    assert str(raised.value) == (
        "Version 1 of 'a.txt' is gone: it was collected or erased while it was being read. "
        "Open the file again for the current version."
    )


def test_a_file_is_sought_and_read_in_pieces(storage: ConsistentS3Storage) -> None:
    data = b"".join(b"line %06d\n" % number for number in range(100_000))
    seed(storage, "a.txt", [1], data=data)

    with storage.open("a.txt") as file:
        assert (len(file), file.size, file.readable(), file.seekable(), file.writable()) == (
            len(data),
            len(data),
            True,
            True,
            False,
        )
        assert file.read(5) == data[:5]
        assert file.tell() == 5
        assert file.seek(600_000) == 600_000
        assert file.read(12) == data[600_000:600_012]
        file.seek(-12, io.SEEK_END)
        assert file.readline() == b"line 099999\n"
        assert file.read() == b""
        file.seek(0)
        assert next(iter(file)) == b"line 000000\n"
        assert b"".join(file.chunks(70_001)) == data
        file.seek(12)
        assert file.readlines()[0] == b"line 000001\n"
        file.seek(24)
        assert file.read(None) == data[24:]
        with pytest.raises(ValueError, match=r"^Position -1 is before the beginning of the file\.$"):
            file.seek(-len(data) - 1, io.SEEK_END)


def test_text_is_read_by_lines_and_characters(storage: ConsistentS3Storage) -> None:
    write(storage, "één\ntwo\n")

    with storage.open("a.txt", "r") as file:
        assert file.read(2) == "éé"
        assert file.readline() == "n\n"
        assert file.readline() == "two\n"
        file.seek(0)
        assert [*file] == ["één\n", "two\n"]


def test_a_file_cannot_be_reopened_in_another_mode(storage: ConsistentS3Storage) -> None:
    write(storage, "one")

    with storage.open("a.txt") as file:
        assert file.open("rb") is file
        with pytest.raises(ValueError, match="open it anew") as raised:
            file.open("r")

    assert str(raised.value) == "'a.txt' was opened with mode 'rb'; open it anew for 'r'."


@pytest.mark.parametrize("mode", ["a", "ab", "r+b", "w+b", ""])
def test_a_version_is_never_opened_for_changing(storage: ConsistentS3Storage, mode: str) -> None:
    with assert_requests(storage), pytest.raises(ValueError, match="it never changes") as raised:
        storage.open("a.txt", mode)

    assert str(raised.value) == (
        f"A version cannot be opened with mode {mode!r}: it never changes. "
        "Read with 'rb', or write a whole new version with 'wb' or 'xb'."
    )


def test_a_version_that_exists_is_not_opened_for_writing(storage: ConsistentS3Storage) -> None:
    write(storage, "one")

    with pytest.raises(ValueError, match="it never changes"):
        storage.open("a.txt", "wb", version=1)


@pytest.mark.django_db  # the end of a response closes old connections
def test_a_file_is_served_by_django(storage: ConsistentS3Storage) -> None:
    write(storage, "served")

    response = FileResponse(storage.open("a.txt"), as_attachment=True)

    assert b"".join(response.streaming_content) == b"served"
    assert response["Content-Length"] == "6"
    assert response["Content-Disposition"] == 'attachment; filename="a.txt"'
    response.close()


# As it was


def test_the_version_of_a_moment_is_found(storage: ConsistentS3Storage) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in (1, 2):
        seed(storage, "a.txt", [number], modified=start + timedelta(days=number))
    seed_tombstone(storage, "a.txt", 3, modified=start + timedelta(days=3))
    seed(storage, "a.txt", [4], modified=start + timedelta(days=4))

    found = [storage.as_of("a.txt", start + timedelta(days=days)).number for days in (1, 1.5, 2, 4, 99)]

    assert found == [1, 1, 2, 4, 4]
    with pytest.raises(VersionNotFoundError) as deleted:
        storage.as_of("a.txt", start + timedelta(days=3))
    assert str(deleted.value) == "'a.txt' was deleted at 2026-01-04 00:00:00 UTC, by version 3."
    with pytest.raises(VersionNotFoundError) as before:
        storage.as_of("a.txt", start)
    assert str(before.value) == "No version of 'a.txt' is left from 2026-01-01 00:00:00 UTC or before."


def test_a_naive_moment_is_refused_with_time_zones(storage: ConsistentS3Storage) -> None:
    moment = datetime(2026, 1, 1)  # noqa: DTZ001 - the point

    with assert_requests(storage), pytest.raises(ValueError, match="has no time zone") as raised:
        storage.as_of("a.txt", moment)

    assert str(raised.value) == (
        "datetime.datetime(2026, 1, 1, 0, 0) has no time zone. Use an aware datetime, as timezone.now() returns."
    )


def test_a_naive_moment_is_local_without_time_zones(storage: ConsistentS3Storage, settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Kolkata"
    seed(storage, "a.txt", [1], modified=datetime(2026, 1, 1, 12, tzinfo=UTC))

    moment = storage.get_modified_time("a.txt")

    assert moment == datetime(2026, 1, 1, 17, 30)  # noqa: DTZ001 - without USE_TZ
    assert storage.as_of("a.txt", moment).number == 1
    with pytest.raises(VersionNotFoundError):
        storage.as_of("a.txt", moment - timedelta(seconds=1))


# Restoring, deleting, erasing


def test_a_restored_version_is_a_new_one_with_the_old_bytes(storage: ConsistentS3Storage) -> None:
    storage.write("a.txt", SimpleUploadedFile("own.csv", b"1;2", content_type="text/csv"), author="ann", comment="old")
    write(storage, "two")

    restored = storage.restore("a.txt", 1, author="bob", comment="back")

    assert (restored.number, restored.author, restored.comment) == (3, "bob", "back")
    assert (restored.original_name, restored.content_type) == ("own.csv", "text/csv")
    assert restored.details.restored_from == 1
    assert headers(storage, restored)["CacheControl"] == "max-age=31536000, immutable"
    assert read(storage) == b"1;2"
    assert numbers(storage) == [3, 2, 1]


def test_an_empty_version_is_restored(storage: ConsistentS3Storage) -> None:
    write(storage, "", "two")

    restored = storage.restore("a.txt", 1)

    assert (restored.number, restored.size, restored.content_type) == (3, 0, "text/plain")
    assert read(storage) == b""


def test_restoring_minds_the_expected_number(storage: ConsistentS3Storage) -> None:
    write(storage, "one", "two", "three")

    with pytest.raises(ConflictError) as raised:
        storage.restore("a.txt", 1, expected=2)

    assert str(raised.value) == "Version 3 of 'a.txt' is current, but 2 was expected. Read version 3 and decide again."
    assert numbers(storage) == [3, 2, 1]


def test_a_deletion_is_undone(storage: ConsistentS3Storage) -> None:
    write(storage, "one", "two")
    storage.delete("a.txt")

    version = storage.undelete("a.txt", author="ann", comment="still needed")

    assert (version.number, version.author, version.comment) == (4, "ann", "still needed")
    assert headers(storage, version)["CacheControl"] == "max-age=31536000, immutable"
    assert version.details.restored_from == 2
    assert read(storage) == b"two"


@pytest.mark.parametrize(
    ("before", "kind", "sentence"),
    [
        (["one"], AlreadyExistsError, "'a.txt' is not deleted: version 1 is current."),
        ([], VersionNotFoundError, "'a.txt' does not exist, and nothing is left of it to undelete."),
    ],
)
def test_what_is_not_deleted_cannot_be_undeleted(
    storage: ConsistentS3Storage, before: list[str], kind: type[Exception], sentence: str
) -> None:
    write(storage, *before)

    with pytest.raises(kind) as raised:
        storage.undelete("a.txt")

    assert str(raised.value) == sentence


@pytest.mark.django_db
def test_erasing_leaves_no_bytes(storage: ConsistentS3Storage) -> None:
    write(storage, "one", "three")

    receipt = storage.erase("a.txt")

    assert (receipt.name, receipt.versions, receipt.size, receipt.failures) == ("a.txt", 2, 8, ())
    assert [(version.number, version.tombstone) for version in storage.history("a.txt")] == [(receipt.tombstone, True)]
    with pytest.raises(VersionNotFoundError):
        storage.open("a.txt", version=1)
    with pytest.raises(VersionNotFoundError):
        storage.undelete("a.txt")


def test_a_version_between_can_be_deleted_of_who_deleted_it(storage: ConsistentS3Storage) -> None:
    write(storage, "one")

    tombstone = storage.delete("a.txt", expected=1, author="ann", comment="why")

    assert (tombstone.number, tombstone.tombstone, tombstone.author, tombstone.comment) == (2, True, "ann", "why")
    assert storage.delete("a.txt") is None


# Writing through an open file


def test_a_small_file_written_in_pieces_is_one_put(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage, LIST=1, PUT=1), storage.open("a.txt", "wb") as file:
        assert file.write(b"one ") == 4
        assert file.write(bytearray(b"two ")) == 4
        assert file.write(memoryview(b"three ").cast("H")) == 6
        assert file.write("vier €") == 6
        file.writelines([b"\n", b"six"])
        file.flush()
        assert (file.tell(), file.size, len(file)) == (26, 26, 26)

    assert read(storage) == "one two three vier €\nsix".encode()
    assert (file.version.number, file.version.content_type, file.version.size) == (1, "text/plain", 26)


def test_a_large_file_is_streamed_in_parts(make_storage: MakeStorage) -> None:
    storage = make_storage(transfer_config=SMALL_PARTS)
    data = bytes(range(256)) * 4096

    with assert_requests(storage, BEGIN=1, PART=3, COMPLETE=1, LIST=1, PUT=1), storage.open("a.bin", "wb") as file:
        for _ in range(12):
            file.write(data)

    assert (file.version.size, file.version.number) == (12 * MIB, 1)
    assert read(storage, "a.bin") == data * 12
    assert urlopen(storage.url("a.bin")).read() == data * 12
    assert [(version.number, version.size) for version in storage.history("a.bin")] == [(1, 12 * MIB)]
    assert headers(storage, file.version)["CacheControl"] == "max-age=31536000, immutable"
    assert uploads(storage) == 0
    assert storage.listdir("") == ([], ["a.bin"])


def test_a_threshold_below_what_s3_takes_as_a_part_is_raised(make_storage: MakeStorage) -> None:
    storage = make_storage(transfer_config=TransferConfig(multipart_threshold=1024, multipart_chunksize=1024))

    with assert_requests(storage, LIST=1, PUT=1), storage.open("a.bin", "wb") as file:
        file.write(b"x" * 4 * MIB)

    assert file.version.size == 4 * MIB


@pytest.mark.django_db
def test_a_large_file_is_restored_deleted_and_erased(make_storage: MakeStorage) -> None:
    storage = make_storage(transfer_config=SMALL_PARTS)
    data = b"0123456789abcdef" * (6 * MIB // 16)
    with storage.open("a.bin", "wb") as file:
        file.write(data)
    storage.delete("a.bin")

    restored = storage.undelete("a.bin")

    assert (restored.number, restored.size) == (3, 6 * MIB)
    assert read(storage, "a.bin") == data
    receipt = storage.erase("a.bin")
    assert (receipt.versions, receipt.failures) == (3, ())
    listed = shared_client(storage).list_objects_v2(Bucket=storage.bucket_name)
    assert sum(entry["Size"] for entry in listed["Contents"]) == 0


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_an_exception_in_the_block_publishes_nothing(make_storage: MakeStorage, size: int) -> None:
    storage = make_storage(transfer_config=SMALL_PARTS)
    write(storage, "before")
    file = storage.open("a.txt", "wb")

    def fail_halfway() -> None:
        file.write(b"x" * size)
        raise RuntimeError

    with pytest.raises(RuntimeError), file:
        fail_halfway()
    file.close()

    assert read(storage) == b"before"
    assert numbers(storage) == [1]
    assert uploads(storage) == 0
    assert file.version is None


def test_a_refused_part_publishes_nothing_also_not_by_a_later_close(make_storage: MakeStorage) -> None:
    storage = make_storage(transfer_config=SMALL_PARTS)
    file = storage.open("a.txt", "wb")

    with answering(storage, 403, "AccessDenied", "UploadPart"), pytest.raises(AccessDeniedError):
        file.write(b"x" * 6 * MIB)
    file.close()

    assert file.closed
    assert numbers(storage) == []
    assert uploads(storage) == 0


@pytest.mark.parametrize("data", [5, None, ["x"], 1.5])
def test_what_is_no_data_is_refused_and_publishes_nothing(storage: ConsistentS3Storage, data: Any) -> None:
    with pytest.raises(TypeError), storage.open("a.txt", "wb") as file:
        file.write(data)

    assert numbers(storage) == []


def test_a_refused_close_publishes_nothing(make_storage: MakeStorage) -> None:
    storage = make_storage(transfer_config=SMALL_PARTS)
    file = storage.open("a.txt", "wb")
    file.write(b"x" * 6 * MIB)

    with answering(storage, 403, "AccessDenied", "PutObject"), pytest.raises(AccessDeniedError):
        file.close()
    file.close()

    assert numbers(storage) == []
    assert storage.listdir("") == ([], [])


def test_a_last_part_refused_at_close_leaves_no_upload_behind(make_storage: MakeStorage) -> None:
    storage = make_storage(transfer_config=SMALL_PARTS)
    file = storage.open("a.txt", "wb")
    file.write(b"x" * 6 * MIB)
    file.write(b"the rest")

    with answering(storage, 403, "AccessDenied", "UploadPart"), pytest.raises(AccessDeniedError):
        file.close()

    assert uploads(storage) == 0
    assert numbers(storage) == []


def test_a_discarded_file_publishes_nothing(storage: ConsistentS3Storage) -> None:
    file = storage.open("a.txt", "wb")
    file.write(b"x")

    file.discard()
    file.discard()
    file.close()

    assert numbers(storage) == []


def test_a_forgotten_file_publishes_nothing(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage):
        storage.open("a.txt", "wb").write(b"x")

    assert numbers(storage) == []


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda file: file.write(b"x"), id="write"),
        pytest.param(lambda file: file.open(), id="open"),
        pytest.param(lambda file: file.__enter__(), id="with"),
    ],
)
def test_a_closed_file_cannot_be_written(storage: ConsistentS3Storage, use: Callable[[Any], object]) -> None:
    file = storage.open("a.txt", "wb")
    assert (file.open(), file.closed, file.writable()) == (file, False, True)
    file.close()

    with pytest.raises(ValueError, match="is closed") as raised:
        use(file)

    assert str(raised.value) == "'a.txt' is closed. Open it again to write another version."
    assert (file.closed, file.writable()) == (True, False)
    assert numbers(storage) == [1]


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda file: file.read(), id="read"),
        pytest.param(lambda file: file.read(10), id="read some"),
        pytest.param(lambda file: file.readline(), id="readline"),
        pytest.param(lambda file: file.readlines(), id="readlines"),
        pytest.param(lambda file: file.readinto(bytearray(1)), id="readinto"),
        pytest.param(lambda file: next(iter(file)), id="iterate"),
        pytest.param(lambda file: next(file.chunks()), id="chunks"),
        pytest.param(lambda file: file.seek(0), id="seek"),
        pytest.param(lambda file: file.truncate(), id="truncate"),
        pytest.param(lambda file: file.fileno(), id="fileno"),
    ],
)
def test_a_file_opened_for_writing_says_that_it_can_do_nothing_else(
    storage: ConsistentS3Storage, use: Callable[[Any], object]
) -> None:
    with storage.open("a.txt", "wb") as file, pytest.raises(io.UnsupportedOperation):
        use(file)

    assert (file.readable(), file.seekable(), file.isatty()) == (False, False, False)


def test_libraries_write_into_an_open_file(storage: ConsistentS3Storage) -> None:
    with storage.open("a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.txt", "text")
    with storage.open("b.bin", "wb") as file:
        shutil.copyfileobj(io.BytesIO(b"copied"), file)
    with storage.open("c.txt", "wb") as file:
        file.file.write(b"directly")
        assert file.file.writable()

    with storage.open("a.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inner.txt") == b"text"
    assert read(storage, "b.bin") == b"copied"
    assert read(storage, "c.txt") == b"directly"


def test_creating_succeeds_once(storage: ConsistentS3Storage) -> None:
    with storage.open("a.txt", "xb") as file:
        file.write(b"one")
    second = storage.open("a.txt", "x")
    second.write("two")

    with pytest.raises(FileExistsError) as raised:
        second.close()

    assert str(raised.value) == (
        "Version 1 of 'a.txt' is current, but none was expected. Choose another name, or read it and decide again."
    )
    assert read(storage) == b"one"


# New names


def test_a_new_file_is_saved_under_a_free_name(storage: ConsistentS3Storage) -> None:
    first = storage.save_new("a.txt", ContentFile(b"one"), author="ann", comment="why", original_name="own.txt")
    second = storage.save_new("a.txt", ContentFile(b"two"))

    assert (first.name, first.number, first.author, first.comment) == ("a.txt", 1, "ann", "why")
    assert first.original_name == "own.txt"
    assert re.fullmatch(r"a_[A-Za-z0-9]{7}\.txt", second.name)
    assert (second.number, second.original_name) == (1, "a.txt")


@pytest.mark.parametrize("method", ["write", "save_new"])
def test_a_stream_that_is_no_django_file_is_written_too(storage: ConsistentS3Storage, method: str) -> None:
    version = getattr(storage, method)("a.txt", io.BytesIO(b"plain stream"))

    assert read(storage) == b"plain stream"
    assert version.original_name == "a.txt"


# Numbering by the clock


def test_clock_numbers_are_microseconds_and_grow(make_storage: MakeStorage) -> None:
    storage = make_storage(numbering="clock")
    earliest = timezone.now() - timedelta(minutes=1)

    first, second = write(storage, "one", "two")

    assert earliest.timestamp() * 1e6 < first.number < second.number
    assert numbers(storage) == [second.number, first.number]
    assert read(storage) == b"two"
    assert read(storage, version=first.number) == b"one"


def test_clock_numbering_deletes_and_restores(make_storage: MakeStorage) -> None:
    storage = make_storage(numbering="clock")
    (first,) = write(storage, "one")
    storage.delete("a.txt")

    storage.undelete("a.txt")
    write(storage, "two")
    storage.restore("a.txt", first.number)

    assert read(storage) == b"one"
    assert len(numbers(storage)) == 5
    assert storage.listdir("") == ([], ["a.txt"])


def test_clock_numbering_cannot_expect(make_storage: MakeStorage) -> None:
    storage = make_storage(numbering="clock")

    with pytest.raises(PolicyError) as raised:
        storage.write("a.txt", ContentFile(b""), expected=1)

    assert str(raised.value) == (
        "expected= needs numbering 'sequence', which needs a store with conditional writes. "
        "With numbering 'clock' nobody can be told that another writer was first."
    )


def test_clock_numbering_always_makes_new_names_unlike_others(make_storage: MakeStorage) -> None:
    storage = make_storage(numbering="clock", file_overwrite=False)

    names = {storage.save("a.txt", ContentFile(b"text")) for _ in range(3)}

    assert len(names) == 3
    assert all(re.fullmatch(r"a_[A-Za-z0-9]{7}\.txt", name) for name in names)


def test_a_bucket_moves_from_one_numbering_to_the_other(make_storage: MakeStorage) -> None:
    sequence, clock = make_storage(), make_storage(numbering="clock")

    versions = [*write(sequence, "one"), *write(clock, "two"), *write(sequence, "three")]

    assert [version.number for version in versions] == [1, versions[1].number, versions[1].number + 1]
    assert read(clock) == b"three"


# URLs


@pytest.mark.parametrize("deleted", [True, False])
def test_the_url_of_a_missing_file_answers_404(make_storage: MakeStorage, deleted: bool) -> None:
    storage = make_storage()
    if deleted:
        write(storage, "one")
        storage.delete("a.txt")

    assert status_of(storage.url("a.txt")) == 404


def test_the_url_of_a_number_stays_with_it(storage: ConsistentS3Storage) -> None:
    first, _ = write(storage, "one", "two")

    assert urlopen(storage.url("a.txt")).read() == b"two"
    assert urlopen(storage.url("a.txt", version=1)).read() == b"one"
    assert urlopen(storage.url("a.txt", version=first)).read() == b"one"


def test_parameters_change_the_answers_headers(storage: ConsistentS3Storage) -> None:
    write(storage, "one")
    parameters = {"ResponseContentDisposition": "attachment; filename=b.txt"}

    with urlopen(storage.url("a.txt", parameters=parameters)) as answer:
        disposition = answer.headers["Content-Disposition"]

    assert disposition == "attachment; filename=b.txt"
    assert parameters == {"ResponseContentDisposition": "attachment; filename=b.txt"}


@pytest.mark.parametrize(("option", "argument", "seconds"), [(60, None, 60), (60, 5, 5), (60, 0, 0)])
def test_a_signature_expires_as_the_option_or_the_call_says(
    make_storage: MakeStorage, option: int, argument: int | None, seconds: int
) -> None:
    storage = make_storage(querystring_expire=option, signature_version="s3v4")

    url = storage.url("a.txt", expire=argument)

    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(seconds)]


def test_a_url_for_another_method_is_signed_for_it(storage: ConsistentS3Storage) -> None:
    (version,) = write(storage, "one")

    query = parse_qs(urlsplit(storage.url("a.txt", http_method="HEAD")).query)

    signed = f"HEAD\n\n\n{query['Expires'][0]}\n/{storage.bucket_name}/{version.key}"
    signature = hmac.digest(b"test", signed.encode(), "sha1")
    assert query["Signature"] == [base64.b64encode(signature).decode()]


def test_a_custom_domain_names_the_version(make_storage: MakeStorage) -> None:
    storage = make_storage(custom_domain="cdn.example.org", location="media", url_protocol="http:")
    write(storage, "one", name="dir/two words #1.txt")

    url = storage.url("dir/two words #1.txt", parameters={"download": "1"})

    assert url == f"http://cdn.example.org/media/dir/two%20words%20%231.txt.-v/{10**19 - 2}.txt?download=1"


def test_a_custom_domain_of_a_missing_file_is_its_plain_name(make_storage: MakeStorage) -> None:
    storage = make_storage(custom_domain="cdn.example.org", location="media/")

    assert storage.url("a.txt") == "https://cdn.example.org/media/a.txt"


def test_cloudfront_signs_the_address_of_a_version(make_storage: MakeStorage) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    storage = make_storage(custom_domain="cdn.example.org", cloudfront_key_id="K1", cloudfront_key=pem)
    write(storage, "one")

    url = urlsplit(storage.url("a.txt", expire=60))

    assert f"{url.scheme}://{url.netloc}{url.path}" == f"https://cdn.example.org/a.txt.-v/{10**19 - 2}.txt"
    query = parse_qs(url.query)
    assert query["Key-Pair-Id"] == ["K1"]
    assert set(query) == {"Key-Pair-Id", "Signature", "Expires"}
    assert abs(int(query["Expires"][0]) - timezone.now().timestamp() - 60) < 30


def test_a_cloudfront_signer_of_the_projects_own_is_taken(make_storage: MakeStorage) -> None:
    class Signer:
        def generate_presigned_url(self, url: str, date_less_than: datetime) -> str:
            return f"{url}?signed"

    storage = make_storage(custom_domain="cdn.example.org", cloudfront_signer=Signer())

    assert storage.url("a.txt") == "https://cdn.example.org/a.txt?signed"


# Options that shape what is stored


def test_versions_may_be_cached_for_ever(storage: ConsistentS3Storage) -> None:
    (version,) = write(storage, "one")

    assert headers(storage, version)["CacheControl"] == "max-age=31536000, immutable"


def test_object_parameters_are_sent_with_every_version(make_storage: MakeStorage) -> None:
    storage = make_storage(
        object_parameters={
            "CacheControl": "no-store",
            "ContentDisposition": "inline",
            "Metadata": {"project": "own"},
            "StorageClass": "STANDARD_IA",
        }
    )

    written = storage.write("a.txt", ContentFile(b"one"), author="ann")
    with storage.open("a.txt", "wb") as file:
        file.write(b"two")
    restored = storage.restore("a.txt", 1)

    for version in (written, file.version, restored):
        answer = headers(storage, version)
        assert (answer["CacheControl"], answer["ContentDisposition"]) == ("no-store", "inline")
        assert (answer["Metadata"]["project"], answer["StorageClass"]) == ("own", "STANDARD_IA")
    assert next(storage.history("a.txt", before=2)).author == "ann"


@pytest.mark.parametrize(
    ("name", "content", "parameters", "content_type"),
    [
        ("a.txt", ContentFile(b""), {}, "text/plain"),
        ("a", ContentFile(b""), {}, "application/octet-stream"),
        ("a", ContentFile(b"", name="own.pdf"), {}, "application/pdf"),
        ("a.txt", ContentFile(b"", name="no extension"), {}, "text/plain"),
        ("a.txt", SimpleUploadedFile("a.txt", b"", content_type="text/markdown"), {}, "text/markdown"),
        ("a.txt", SimpleUploadedFile("a.txt", b"", content_type="x/y"), {"ContentType": "image/png"}, "image/png"),
    ],
)
def test_the_media_type_is_given_told_or_guessed(
    make_storage: MakeStorage, name: str, content: Any, parameters: dict[str, str], content_type: str
) -> None:
    storage = make_storage(object_parameters=parameters)

    version = storage.write(name, content)

    assert version.content_type == content_type
    assert next(storage.history(name)).content_type == content_type


def test_objects_are_private_unless_the_project_says_otherwise(make_storage: MakeStorage) -> None:
    def readable_by_all(version: Version) -> bool:
        acl = shared_client(storage).get_object_acl(Bucket=storage.bucket_name, Key=version.key)
        return any(grant["Grantee"].get("URI", "").endswith("/AllUsers") for grant in acl["Grants"])

    storage = make_storage()
    (private,) = write(storage, "one")
    (public,) = write(make_storage(default_acl="public-read"), "two")
    (given,) = write(make_storage(default_acl="private", object_parameters={"ACL": "public-read"}), "three")

    assert [readable_by_all(version) for version in (private, public, given)] == [False, True, True]


def test_two_locations_of_one_bucket_keep_apart(make_storage: MakeStorage) -> None:
    one, two, inner = make_storage(location="one"), make_storage(location="two/"), make_storage(location="one/inner")
    for storage, text in ((one, "1"), (two, "2"), (inner, "3")):
        write(storage, text)

    assert [read(storage) for storage in (one, two, inner)] == [b"1", b"2", b"3"]
    assert one.listdir("") == (["inner"], ["a.txt"])
    assert two.listdir("") == ([], ["a.txt"])
    assert one.current("a.txt").name == "a.txt"


def test_a_location_that_moves_is_followed_at_once(storage_options: dict[str, Any]) -> None:
    class Tenants(ConsistentS3Storage):
        tenant = "one"

        @property
        def location(self) -> str:
            return f"tenants/{self.tenant}"

    storage = Tenants(**storage_options)
    write(storage, "1")

    storage.tenant = "two"

    assert not storage.exists("a.txt")
    write(storage, "2")
    storage.tenant = "one"
    assert read(storage) == b"1"


def test_encryption_with_a_key_of_ones_own_is_told_to_reads_too(make_storage: MakeStorage) -> None:
    parameters = {"ExpectedBucketOwner": "123456789012", "CacheControl": "no-store"}

    storage = make_storage(object_parameters=parameters)

    assert storage.make_object_store().read_parameters == {"ExpectedBucketOwner": "123456789012"}
    write(storage, "one")
    assert read(storage) == b"one"


# Compression

STYLE = b"body { color: red }\n" * 100_000


def test_what_is_worth_compressing_is_stored_compressed(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)

    version = storage.write("a.css", ContentFile(STYLE))

    assert version.size < len(STYLE) / 50
    assert storage.size("a.css") == version.size
    assert headers(storage, version)["ContentEncoding"] == "gzip"
    assert gzip.decompress(urlopen(storage.url("a.css")).read()) == STYLE
    assert read(storage, "a.css") == STYLE


def test_no_time_is_stored_with_compressed_bytes(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)

    storage.write("a.css", ContentFile(STYLE))

    stored = urlopen(storage.url("a.css")).read()
    assert stored[4:8] == bytes(4)  # the time in its header, https://www.rfc-editor.org/rfc/rfc1952


def test_compressed_bytes_are_sought_and_read_as_text(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)
    storage.save("a.css", ContentFile(STYLE.decode()))

    with storage.open("a.css") as file:
        file.seek(1_000_000)
        assert file.read(4) == b"body"
        assert b"".join(file.chunks()) == STYLE
    with storage.open("a.css", "r") as file:
        assert file.readline() == "body { color: red }\n"


def test_compressed_bytes_are_restored_as_they_are(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)
    first = storage.write("a.css", ContentFile(STYLE))

    restored = storage.restore("a.css", 1)

    assert restored.checksum == first.checksum
    assert read(storage, "a.css") == STYLE


def test_closing_a_compressed_file_gives_its_connection_back(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)
    storage.save("a.css", ContentFile(STYLE))
    file = storage.open("a.css")
    file.read(1)
    connection = file._buffered

    file.close()

    assert connection.closed


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a"])
def test_other_types_are_stored_as_they_are(make_storage: MakeStorage, name: str) -> None:
    storage = make_storage(gzip=True)

    version = storage.write(name, ContentFile(STYLE))

    assert version.size == len(STYLE)
    assert read(storage, name) == STYLE


@pytest.mark.parametrize("name", ["a.tar.gz", "a.css.gz", "a.svgz"])
def test_a_compressed_file_is_read_as_it_was_saved(make_storage: MakeStorage, name: str) -> None:
    storage = make_storage(gzip=True)
    data = gzip.compress(STYLE)

    version = storage.write(name, ContentFile(data))

    assert version.size == len(data)
    assert read(storage, name) == data


def test_an_empty_file_is_compressed_too(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)
    storage.save("a.css", ContentFile(b""))

    assert read(storage, "a.css") == b""


def test_an_empty_file_that_is_not_compressed_is_read_without_a_request(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)
    storage.save("a.png", ContentFile(b""))

    with assert_requests(storage, LIST=1, HEAD=1):
        assert read(storage, "a.png") == b""


def test_what_is_streamed_is_not_compressed(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True)

    with storage.open("a.css", "wb") as file:
        file.write(STYLE)

    assert file.version.size == len(STYLE)
    assert read(storage, "a.css") == STYLE


def test_the_types_to_compress_are_the_projects_choice(make_storage: MakeStorage) -> None:
    storage = make_storage(gzip=True, gzip_content_types=("text/plain",))

    assert storage.write("a.txt", ContentFile(STYLE)).size < len(STYLE)
    assert storage.write("a.css", ContentFile(STYLE)).size == len(STYLE)
