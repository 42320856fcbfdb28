"""How many requests does each operation cost? DESIGN.md section 9, column *listing*, to the request.

Two things cost more than that table says, and are held here as they are: a deletion writes a hint before its tombstone
(2 PUT), and a newest version of no bytes is looked at (1 HEAD), since an empty file and a tombstone list alike.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile

from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests.seeding import seed, seed_tombstone

NAME = "dir/a.txt"


@pytest.fixture(params=[1, 5000], ids=lambda count: f"{count} versions")
def count(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def filled(storage: ConsistentS3Storage, count: int) -> ConsistentS3Storage:
    """Return a storage where one name has so many versions, and its neighbours some."""
    seed(storage, NAME, range(1, count + 1), data=b"text")
    seed(storage, "dir/a.txt2", range(1, 4))
    seed(storage, "dir/a", range(1, 4))
    return storage


def test_a_save_costs_one_list_and_one_put(filled: ConsistentS3Storage, count: int) -> None:
    with assert_requests(filled, LIST=1, PUT=1):
        version = filled.write(NAME, ContentFile(b"next"))

    assert version.number == count + 1


def test_a_save_by_django_costs_the_same(filled: ConsistentS3Storage) -> None:
    with assert_requests(filled, LIST=1, PUT=1):
        filled.save(NAME, ContentFile(b"next"))


def test_a_first_save_costs_one_list_and_one_put(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage, LIST=1, PUT=1):
        storage.save(NAME, ContentFile(b"first"))


def test_a_save_without_overwrite_asks_nobody_whether_the_name_is_free(
    make_storage: Callable[..., ConsistentS3Storage],
) -> None:
    storage = make_storage(file_overwrite=False)

    with assert_requests(storage, LIST=1, PUT=1):
        storage.save(NAME, ContentFile(b"first"))
    with assert_requests(storage, LIST=2, PUT=1):
        storage.save(NAME, ContentFile(b"second"))


def test_a_large_save_below_5_gib_is_one_put(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage, LIST=1, PUT=1):
        storage.save(NAME, ContentFile(b"x" * 9 * 1024**2))


def test_open_and_read_cost_one_list_and_one_get(filled: ConsistentS3Storage) -> None:
    with assert_requests(filled, LIST=1, GET=1), filled.open(NAME) as file:
        data = file.read()

    assert data == b"text"


def test_opening_alone_costs_one_list(filled: ConsistentS3Storage) -> None:
    with assert_requests(filled, LIST=1):
        file = filled.open(NAME)
        file.seek(2)
        assert (file.size, file.tell(), file.version.size) == (4, 2, 4)


def test_opening_a_version_by_number_costs_one_list(filled: ConsistentS3Storage) -> None:
    with assert_requests(filled, LIST=1, GET=1), filled.open(NAME, version=1) as file:
        file.read()


def test_opening_a_version_that_is_known_costs_nothing(filled: ConsistentS3Storage) -> None:
    version = filled.version(NAME)

    with assert_requests(filled, GET=1), filled.open(NAME, version=version) as file:
        file.read()


@pytest.mark.parametrize("size", [1024, 64 * 1024])
def test_the_first_bytes_of_a_large_file_cost_one_small_range(storage: ConsistentS3Storage, size: int) -> None:
    data = bytes(range(256)) * 64 * 1024
    seed(storage, NAME, [1], data=data)

    with assert_requests(storage, LIST=1, GET=1) as log, storage.open(NAME) as file:
        read = file.read(size)

    assert read == data[:size]
    assert log.ranges == ["bytes=0-262143"]


def test_the_last_bytes_of_a_large_file_cost_one_small_range(storage: ConsistentS3Storage) -> None:
    seed(storage, NAME, [1], data=b"x" * 16 * 1024**2 + b"the end")

    with assert_requests(storage, LIST=1, GET=1) as log, storage.open(NAME) as file:
        file.seek(-7, 2)
        read = file.read()

    assert read == b"the end"
    assert log.ranges == ["bytes=16777216-16777222"]


def test_a_large_file_read_in_chunks_costs_two_gets(storage: ConsistentS3Storage) -> None:
    seed(storage, NAME, [1], data=b"x" * 16 * 1024**2)

    with assert_requests(storage, LIST=1, GET=2) as log, storage.open(NAME) as file:
        length = sum(len(chunk) for chunk in file.chunks())

    assert length == 16 * 1024**2
    assert log.ranges == ["bytes=0-262143", "bytes=262144-16777215"]


def test_a_large_file_read_at_once_costs_one_get(storage: ConsistentS3Storage) -> None:
    seed(storage, NAME, [1], data=b"x" * 16 * 1024**2)

    with assert_requests(storage, LIST=1, GET=1), storage.open(NAME) as file:
        assert len(file.read()) == 16 * 1024**2


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda storage: storage.exists(NAME), id="exists"),
        pytest.param(lambda storage: storage.size(NAME), id="size"),
        pytest.param(lambda storage: storage.get_modified_time(NAME), id="modified time"),
        pytest.param(lambda storage: storage.url(NAME), id="url"),
        pytest.param(lambda storage: storage.url(NAME, version=1), id="url of a number"),
        pytest.param(lambda storage: storage.current(NAME), id="current"),
        pytest.param(lambda storage: storage.version(NAME, 1), id="version"),
        pytest.param(lambda storage: next(storage.history(NAME)).number, id="newest of the history"),
    ],
)
def test_a_question_costs_one_list(filled: ConsistentS3Storage, ask: Callable[[ConsistentS3Storage], object]) -> None:
    with assert_requests(filled, LIST=1):
        ask(filled)


def test_the_url_of_a_known_version_costs_nothing(filled: ConsistentS3Storage) -> None:
    version = filled.version(NAME)

    with assert_requests(filled):
        filled.url(NAME, version=version)


def test_who_and_why_cost_one_head_together(filled: ConsistentS3Storage) -> None:
    version = filled.version(NAME)

    with assert_requests(filled, HEAD=1):
        assert (version.author, version.comment, version.original_name) == ("", "", "a.txt")


def test_a_written_version_knows_everything_at_no_cost(storage: ConsistentS3Storage) -> None:
    version = storage.write(NAME, ContentFile(b"text"), author="ann", comment="why")

    with assert_requests(storage):
        assert (version.author, version.comment, version.content_type) == ("ann", "why", "text/plain")
        assert (version.size, len(version.checksum), bool(version.etag)) == (4, 64, True)


def test_a_history_costs_a_list_for_each_thousand(filled: ConsistentS3Storage, count: int) -> None:
    with assert_requests(filled, LIST=max(1, count // 1000)):
        numbers = [version.number for version in filled.history(NAME)]

    assert numbers == list(range(count, 0, -1))


def test_a_history_from_a_number_on_costs_only_what_is_below(storage: ConsistentS3Storage) -> None:
    seed(storage, NAME, range(1, 5001))

    with assert_requests(storage, LIST=1):
        numbers = [version.number for version in storage.history(NAME, before=1000)]

    assert numbers == list(range(999, 0, -1))


def test_a_deletion_costs_one_list_and_two_puts(filled: ConsistentS3Storage, count: int) -> None:
    with assert_requests(filled, LIST=1, PUT=2):
        tombstone = filled.delete(NAME)

    assert (tombstone.number, tombstone.tombstone) == (count + 1, True)


def test_deleting_what_is_missing_costs_one_list(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage, LIST=1):
        assert storage.delete(NAME) is None


def test_deleting_what_is_deleted_costs_one_list_and_one_head(storage: ConsistentS3Storage) -> None:
    seed_tombstone(storage, NAME, 1)

    with assert_requests(storage, LIST=1, HEAD=1):
        assert storage.delete(NAME) is None


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda storage: storage.exists(NAME), id="exists"),
        pytest.param(lambda storage: storage.size(NAME), id="size"),
        pytest.param(lambda storage: storage.url(NAME), id="url"),
        pytest.param(lambda storage: storage.open(NAME).read(), id="open and read"),
    ],
)
def test_an_empty_file_costs_one_head_more_and_no_get(
    storage: ConsistentS3Storage, ask: Callable[[ConsistentS3Storage], object]
) -> None:
    storage.save(NAME, ContentFile(b""))

    with assert_requests(storage, LIST=1, HEAD=1):
        ask(storage)


@pytest.mark.parametrize("deleted", [0, 3, 20])
def test_listing_2500_names_costs_three_lists_and_a_list_and_a_head_for_each_deleted(
    storage: ConsistentS3Storage, deleted: int
) -> None:
    names = [f"file-{number:04}.txt" for number in range(2500)]
    for name in names:
        seed(storage, f"dir/{name}", range(1, 5))
    for name in names[:deleted]:
        seed_tombstone(storage, f"dir/{name}", 5)

    with assert_requests(storage, LIST=3 + deleted, HEAD=deleted):
        directories, files = storage.listdir("dir")

    assert directories == []
    assert files == names[deleted:]


def test_a_name_written_again_after_its_deletion_costs_one_list_and_no_head(storage: ConsistentS3Storage) -> None:
    seed(storage, NAME, [1, 3])
    seed_tombstone(storage, NAME, 2)

    with assert_requests(storage, LIST=2):
        assert storage.listdir("dir") == ([], ["a.txt"])


def test_restoring_costs_two_lists_a_get_and_a_put(filled: ConsistentS3Storage) -> None:
    with assert_requests(filled, LIST=2, GET=1, HEAD=1, PUT=1):
        filled.restore(NAME, 1)
