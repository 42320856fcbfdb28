from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import InvalidNameError, KeyMissingError, NotYetVisibleError
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import MAX_NUMBER, Numbering
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.index.listing import ListingIndex
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive, numbers, write
from tests.core.faults import Faulty, fails, meanwhile


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> MemoryObjectStore:
    return MemoryObjectStore(clock=clock)


@pytest.fixture
def archive(memory: MemoryObjectStore, clock: ManualClock) -> Archive:
    return make_archive(memory, clock)


def put(memory: MemoryObjectStore, key: str, data: bytes = b"x") -> None:
    memory.put(key, io.BytesIO(data), mode=PutMode.OVERWRITE, attributes=Attributes())


def counted(memory: MemoryObjectStore, **faults: Any) -> tuple[ListingIndex, Faulty]:
    store = Faulty(memory, **faults)
    return ListingIndex(store=store, layout=Layout()), store  # type: ignore[arg-type]


# Newest


def test_newest_is_one_list_however_many_versions_there_are(memory: MemoryObjectStore) -> None:
    for number in range(1, 1002):
        put(memory, Layout().version_key("a.txt", number))
    index, store = counted(memory)

    newest = index.newest("a.txt")

    assert newest is not None
    assert (newest.number, [kind for kind, _ in store.sent]) == (1001, ["list"])


def test_newest_without_bytes_costs_a_head_to_tell_a_tombstone(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")
    index, store = counted(memory)

    newest = index.newest("a.txt")

    assert newest is not None
    assert newest.tombstone
    assert [kind for kind, _ in store.sent] == ["list", "head"]


def test_details_of_a_listed_version_cost_one_head_when_first_asked_for(
    archive: Archive, memory: MemoryObjectStore
) -> None:
    write(archive, "a.txt", "one", details=Details(author="ann"))
    index, store = counted(memory)
    newest = index.newest("a.txt")
    assert newest is not None

    told = (newest.body_key, newest.author, newest.checksum[:8], newest.author)

    assert told == (newest.key, "ann", "7692c3ad", "ann")
    assert store.count("head") == 1


@pytest.mark.parametrize("foreign", ["a.txt.-v/", "a.txt.-v/!", "a.txt.-v/0", "a.txt.-v/9999999999999999998.txt~"])
def test_foreign_objects_among_the_versions_hide_none(
    archive: Archive, memory: MemoryObjectStore, foreign: str
) -> None:
    """Consoles and mounting tools leave empty objects such as `a.txt.-v/` behind."""
    for text in ("one", "two"):
        write(archive, "a.txt", text)
    put(memory, foreign, b"")

    newest = archive.newest("a.txt")

    assert newest is not None
    assert newest.number == 2
    assert numbers(archive, "a.txt") == [2, 1]
    assert [version.number for version in archive.history("a.txt", limit=1)] == [2]


def test_foreign_object_alone_is_no_version(archive: Archive, memory: MemoryObjectStore) -> None:
    put(memory, "a.txt.-v/", b"")

    assert archive.newest("a.txt") is None


def test_version_collected_between_list_and_head_is_looked_for_again(
    archive: Archive, memory: MemoryObjectStore
) -> None:
    empty = write(archive, "a.txt", b"")

    def replace() -> None:
        write(archive, "a.txt", "two")
        memory.delete([empty.key])

    index, store = counted(memory, head=[meanwhile(replace)])

    newest = index.newest("a.txt")

    assert newest is not None
    assert (newest.number, store.count("list")) == (2, 2)


def test_listing_that_names_what_the_store_denies_is_an_error(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", b"")
    index, store = counted(memory, head=[fails(KeyMissingError("No such key."))] * 5)

    with pytest.raises(NotYetVisibleError) as refused:
        index.newest("a.txt")

    assert str(refused.value) == (
        "The listing of 'a.txt' names an object that the store then denies, 5 times. Its LIST or HEAD is not strongly "
        "consistent: this index is not safe there."
    )
    assert store.count("list") == 5


# History and single versions


def test_history_of_many_versions_is_a_list_for_each_thousand(memory: MemoryObjectStore) -> None:
    for number in range(1, 2502):
        put(memory, Layout().version_key("a.txt", number))
    index, store = counted(memory)

    found = [version.number for version in index.history("a.txt")]

    assert found == list(range(2501, 0, -1))
    assert store.count("list") == 3


@pytest.mark.parametrize(("limit", "lists"), [(1, 1), (1000, 1), (1500, 2)])
def test_limited_history_asks_for_no_more_than_it_shows(memory: MemoryObjectStore, limit: int, lists: int) -> None:
    for number in range(1, 2002):
        put(memory, Layout().version_key("a.txt", number))
    index, store = counted(memory)

    found = [version.number for version in index.history("a.txt", before=1901, limit=limit)]

    assert found == list(range(1900, 1900 - limit, -1))
    assert store.count("list") == lists


def test_history_is_listed_as_it_is_asked_for(memory: MemoryObjectStore) -> None:
    put(memory, Layout().version_key("a.txt", 1))
    index, store = counted(memory)

    history = index.history("a.txt")

    assert store.sent == []
    assert next(history).number == 1


def test_history_leaves_out_what_is_collected_while_it_is_listed(archive: Archive, memory: MemoryObjectStore) -> None:
    empty = write(archive, "a.txt", b"")
    write(archive, "a.txt", "two")
    index, _ = counted(memory, head=[meanwhile(lambda: memory.delete([empty.key]))])

    assert [version.number for version in index.history("a.txt")] == [2]


@pytest.mark.parametrize("extension", ["", ".txt", ".Z"])
@pytest.mark.parametrize("numbering", Numbering)
def test_history_below_a_number_excludes_it_whatever_its_key_ends_in(
    memory: MemoryObjectStore, numbering: Numbering, extension: str
) -> None:
    archive = make_archive(memory, numbering=numbering)
    written = [write(archive, f"a{extension}", text) for text in ("one", "two", "three")]

    found = list(archive.history(f"a{extension}", before=written[2].number))

    assert found == [written[1], written[0]]


def test_version_is_found_by_its_number_with_one_list(archive: Archive, memory: MemoryObjectStore) -> None:
    for text in ("one", "two", "three"):
        write(archive, "a.txt", text)
    index, store = counted(memory)

    found = [index.at("a.txt", number) for number in (1, 2, 3, 4)]

    assert [version and version.number for version in found] == [1, 2, 3, None]
    assert [kind for kind, _ in store.sent] == ["list"] * 4


@pytest.mark.parametrize("number", [0, -1, MAX_NUMBER + 1])
def test_number_out_of_range_is_not_found_without_any_request(memory: MemoryObjectStore, number: int) -> None:
    index, store = counted(memory)

    assert index.at("a.txt", number) is None
    assert store.sent == []


def test_version_collected_at_its_head_is_not_found_by_its_number(archive: Archive, memory: MemoryObjectStore) -> None:
    empty = write(archive, "a.txt", b"")
    index, _ = counted(memory, head=[meanwhile(lambda: memory.delete([empty.key]))])

    assert index.at("a.txt", 1) is None


# Directories


def test_listdir_shows_directories_and_current_files(archive: Archive) -> None:
    for name in ("b.txt", "a.txt", "dir/c.txt", "dir/sub/d.txt", "other/e.txt", "gone.txt", "back.txt", "dir.txt"):
        write(archive, name, "x")
    archive.delete("gone.txt")
    archive.delete("back.txt")
    archive.undelete("back.txt")
    archive.delete("other/e.txt")

    assert archive.listdir("") == (["dir", "other"], ["a.txt", "b.txt", "back.txt", "dir.txt"])
    assert archive.listdir("dir/") == (["sub"], ["c.txt"])
    assert archive.listdir("other") == ([], [])
    assert archive.listdir("nowhere") == ([], [])


def test_listdir_of_a_location_shows_names_without_it(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory, location="media/files")
    write(archive, "dir/a.txt", "x")
    write(archive, "b.txt", "x")

    assert archive.listdir("") == (["dir"], ["b.txt"])
    assert archive.listdir("dir") == ([], ["a.txt"])


def test_listdir_costs_a_list_for_each_thousand_names_and_not_for_each_version(memory: MemoryObjectStore) -> None:
    for name in range(1500):
        for number in (1, 2, 3):
            put(memory, Layout().version_key(f"{name:04}.txt", number))
    index, store = counted(memory)

    directories, files = index.listdir("")

    assert (directories, len(files)) == ([], 1500)
    assert [kind for kind, _ in store.sent] == ["list"] * 2


def test_listdir_asks_only_after_names_that_may_be_deleted(archive: Archive, memory: MemoryObjectStore) -> None:
    for name in "abc":
        write(archive, name, "x")
    for _ in range(3):
        archive.delete("b")
        archive.undelete("b")
    archive.delete("c")
    index, store = counted(memory)

    assert index.listdir("") == ([], ["a", "b"])
    assert [kind for kind, _ in store.sent if kind == "list"] == ["list"] * 3
    assert store.count("head") == 1


def test_bodies_without_versions_make_no_file(archive: Archive) -> None:
    upload = archive.upload("dir/a.iso", details=Details(), attributes=Attributes(), threshold=1)
    upload.write(b"0123456789")
    upload.finish()

    assert archive.listdir("dir") == ([], [])


def test_hint_without_tombstone_deletes_nothing(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "x")
    put(memory, archive.layout.hint_key("a.txt", "0" * 24), b"")
    put(memory, archive.layout.hint_key("never.txt", "0" * 24), b"")
    index, store = counted(memory)

    assert index.listdir("") == ([], ["a.txt"])
    assert store.keys("list") == ["", "a.txt.-v/"]


def test_name_whose_versions_vanish_while_it_is_listed_is_left_out(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "x")
    archive.delete("a.txt")
    index, _ = counted(memory, list=[None, meanwhile(lambda: memory.delete(memory.keys))])

    assert index.listdir("") == ([], [])


def test_foreign_objects_are_directories_at_most(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "x")
    for key in ("plain.txt", "folder/plain.txt", ".-v/x", "a.txt"):
        put(memory, key)

    assert archive.listdir("") == ([".-v", "folder"], ["a.txt"])


@pytest.mark.parametrize("path", ["/a", "..", "a//b", "a/../b", "a.-v"])
def test_listdir_of_an_invalid_path_is_refused(archive: Archive, path: str) -> None:
    with pytest.raises(InvalidNameError):
        archive.listdir(path)


# Against a model

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "undelete"]), st.sampled_from(["key", "key2", "key/a", "key.1", "k"])
    ),
    max_size=25,
)


@given(STEPS, st.sampled_from(Numbering))
@settings(deadline=None)
def test_index_agrees_with_a_model(steps: list[tuple[str, str]], numbering: Numbering) -> None:
    clock = ManualClock()
    archive = make_archive(MemoryObjectStore(clock=clock), clock, numbering=numbering)
    model: dict[str, list[bool]] = {}
    for step, name in steps:
        states = model.setdefault(name, [])
        alive = bool(states) and states[-1]
        if step == "write":
            write(archive, name, "x")
            states.append(True)
        elif step == "delete":
            archive.delete(name)
            states += [False] if alive else []
        elif states and not alive:
            archive.undelete(name)
            states.append(True)

    for name, states in model.items():
        history = list(archive.history(name))
        assert [not version.tombstone for version in history] == states[::-1]
        assert sorted({version.number for version in history}, reverse=True) == [version.number for version in history]
        assert archive.newest(name) == (history[0] if history else None)
    alive_names = [name for name, states in model.items() if states and states[-1]]
    written = [name for name, states in model.items() if states]
    assert archive.listdir("") == (
        ["key"] if "key/a" in written else [],
        sorted(name for name in alive_names if "/" not in name),
    )
