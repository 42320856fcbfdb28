from __future__ import annotations

import io
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import (
    AccessDeniedError,
    KeyMissingError,
    NotYetVisibleError,
    UnreachableError,
    VersionNotFoundError,
)
from consistent_s3.core.reading import FIRST_WINDOW, RESUMES, SKIP, VersionReader
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive, write
from tests.core.faults import Faulty, fails, meanwhile

KIB = 1024
MIB = 1024 * KIB
DATA = random.Random(7).randbytes(2 * MIB)


class Breaking:
    """A download that gives small pieces and breaks, or ends, after so many bytes."""

    def __init__(self, inner: Any, *, after: int, silently: bool, piece: int = 100 * KIB) -> None:
        self.inner, self.left, self.silently, self.piece = inner, after, silently, piece
        self.head = inner.head
        self.closed = False

    def read(self, size: int) -> bytes:
        if not self.left:
            if self.silently:
                return b""
            raise UnreachableError("Connection reset by peer.")
        data: bytes = self.inner.read(min(size, self.left, self.piece))
        self.left -= len(data)
        return data

    def close(self) -> None:
        self.closed = True


class Recorder:
    """Keeps the range of every get, and lets the first downloads break after so many bytes."""

    def __init__(self, store: Any, *breaks: int, silently: bool = False) -> None:
        self.store, self.breaks, self.silently = store, list(breaks), silently
        self.ranges: list[tuple[int, int | None]] = []
        self.heads = 0
        self.downloads: list[Breaking] = []

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Any:
        self.ranges.append((start, end))
        after = self.breaks.pop(0) if self.breaks else len(DATA)
        download = Breaking(self.store.get(key, start=start, end=end), after=after, silently=self.silently)
        self.downloads.append(download)
        return download

    def head(self, key: str) -> Any:
        self.heads += 1
        return self.store.head(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture
def opened(memory: MemoryObjectStore, clock: ManualClock) -> Callable[..., tuple[VersionReader, Recorder]]:
    """Return a function that writes data and opens a reader on it."""

    def make(data: bytes = DATA, *breaks: int, silently: bool = False) -> tuple[VersionReader, Recorder]:
        version = write(make_archive(memory, clock), "a.bin", data)
        recorder = Recorder(memory, *breaks, silently=silently)
        return make_archive(recorder, clock).reader(version), recorder

    return make


Opened = Callable[..., tuple[VersionReader, Recorder]]


# How much is asked for


def test_opening_seeking_and_telling_make_no_request(opened: Opened) -> None:
    reader, log = opened()

    reader.seek(100)
    reader.seek(0, io.SEEK_END)

    assert (reader.tell(), reader.readable(), reader.seekable(), log.ranges) == (len(DATA), True, True, [])


def test_reading_everything_is_one_request(opened: Opened) -> None:
    reader, log = opened()

    data = reader.readall()

    assert data == DATA
    assert log.ranges == [(0, len(DATA))]


def test_first_kilobyte_fetches_a_small_window(opened: Opened) -> None:
    reader, log = opened()

    data = reader.read(KIB)

    assert data == DATA[:KIB]
    assert log.ranges == [(0, FIRST_WINDOW)]


def test_reader_that_asks_for_more_at_once_gets_it_in_one_request(opened: Opened) -> None:
    reader, log = opened()

    reader.read(MIB)

    assert log.ranges == [(0, MIB)]


def test_reader_that_goes_on_gets_the_rest_in_one_stream(opened: Opened) -> None:
    reader, log = opened()

    data = b"".join(iter(lambda: reader.read(64 * KIB), b""))

    assert data == DATA
    assert log.ranges == [(0, FIRST_WINDOW), (FIRST_WINDOW, len(DATA))]


def test_reading_everything_after_a_window_asks_only_for_the_rest(opened: Opened) -> None:
    reader, log = opened()
    reader.read(KIB)

    data = reader.readall()

    assert data == DATA[KIB:]
    assert log.ranges == [(0, FIRST_WINDOW), (FIRST_WINDOW, len(DATA))]


def test_small_file_is_one_request_of_its_size(opened: Opened) -> None:
    reader, log = opened(b"small")

    assert (reader.read(100), reader.read(100)) == (b"small", b"")
    assert log.ranges == [(0, 5)]


def test_empty_file_makes_no_request(opened: Opened) -> None:
    reader, log = opened(b"")

    assert (reader.read(10), reader.readall(), log.ranges) == (b"", b"", [])


def test_buffered_reader_reads_lines(opened: Opened) -> None:
    reader, log = opened(b"one\ntwo\n")

    assert list(io.BufferedReader(reader)) == [b"one\n", b"two\n"]
    assert len(log.ranges) == 1


# Seeking


def test_small_step_forward_reads_on(opened: Opened) -> None:
    reader, log = opened()
    reader.read(10)
    reader.seek(SKIP // 2, io.SEEK_CUR)

    data = reader.read(10)

    assert data == DATA[10 + SKIP // 2 :][:10]
    assert len(log.ranges) == 1


@pytest.mark.parametrize("position", [0, 5, MIB, 2 * MIB - 1], ids=["start", "back", "far", "last-byte"])
def test_other_steps_ask_anew_and_for_a_small_window(opened: Opened, position: int) -> None:
    reader, log = opened()
    reader.read(10)
    reader.seek(position)

    data = reader.read(10)

    assert data == DATA[position : position + 10]
    assert log.ranges[1:] == [(position, min(position + FIRST_WINDOW, len(DATA)))]


def test_step_too_wide_to_read_on_asks_anew_within_the_range(opened: Opened) -> None:
    reader, log = opened()
    position = len(reader.read(MIB)) + SKIP + 1
    reader.seek(position)

    data = reader.read(10)

    assert data == DATA[position : position + 10]
    assert log.ranges == [(0, MIB), (position, position + FIRST_WINDOW)]


def test_range_before_a_seek_does_not_make_the_next_read_sequential(opened: Opened) -> None:
    reader, log = opened()
    reader.read(KIB)
    reader.seek(-10, io.SEEK_END)

    reader.read(KIB)

    assert log.ranges[1:] == [(len(DATA) - 10, len(DATA))]


def test_read_beyond_the_end_is_empty_and_makes_no_request(opened: Opened) -> None:
    reader, log = opened()
    reader.seek(10, io.SEEK_END)

    assert (reader.read(10), reader.readall(), reader.tell(), log.ranges) == (b"", b"", len(DATA) + 10, [])


def test_seek_before_the_beginning_is_refused(opened: Opened) -> None:
    reader, _ = opened(b"abc")
    reader.seek(1)

    with pytest.raises(ValueError, match="before the beginning") as refused:
        reader.seek(-2, io.SEEK_CUR)

    assert str(refused.value) == "Position -1 is before the beginning of the file."
    assert reader.tell() == 1


@given(st.data())
def test_reader_behaves_as_a_file_in_memory(data: st.DataObject) -> None:
    content = random.Random(3).randbytes(700 * KIB)
    clock = ManualClock()
    memory = MemoryObjectStore(clock=clock)
    version = write(make_archive(memory, clock), "a.bin", content)
    breaks = data.draw(st.lists(st.integers(1, 300 * KIB), max_size=3))
    reader = make_archive(Recorder(memory, *breaks), clock).reader(version)
    model = io.BytesIO(content)

    for _ in range(data.draw(st.integers(1, 8))):
        if data.draw(st.booleans()):
            position = data.draw(st.integers(0, len(content) + 10))
            assert reader.seek(position) == model.seek(position)
        else:
            size = data.draw(st.integers(0, 400 * KIB))
            piece = reader.read(size)
            assert piece == model.read(len(piece))  # type: ignore[arg-type]
            assert piece or not size or model.tell() >= len(content)

    assert reader.readall() == model.read()


# Breaks


@pytest.mark.parametrize("silently", [False, True], ids=["broken", "ended-early"])
def test_broken_body_is_resumed_at_the_byte_it_reached(opened: Opened, silently: bool) -> None:
    reader, log = opened(DATA, 123_456, 77, silently=silently)

    data = reader.readall()

    assert data == DATA
    assert [start for start, _ in log.ranges[:3]] == [0, 123_456, 123_456 + 77]
    assert [download.closed for download in log.downloads[:2]] == [True, True]


@pytest.mark.parametrize("silently", [False, True], ids=["broken", "ended-early"])
def test_break_while_skipping_is_resumed_too(opened: Opened, silently: bool) -> None:
    reader, _ = opened(DATA, 5000, silently=silently)
    reader.read(10)
    reader.seek(100 * KIB)

    assert reader.read(10) == DATA[100 * KIB :][:10]


@pytest.mark.parametrize("silently", [False, True], ids=["broken", "ended-early"])
def test_body_that_breaks_for_ever_raises_and_is_never_an_end(
    opened: Opened, clock: ManualClock, silently: bool
) -> None:
    reader, log = opened(DATA, 1000, *[0] * 100, silently=silently)

    with pytest.raises(UnreachableError):
        reader.readall()

    assert len(log.ranges) == 1 + RESUMES
    assert reader.tell() == 1000
    assert clock.monotonic() > 1


def test_progress_gives_a_broken_connection_new_tries(opened: Opened) -> None:
    reader, log = opened(DATA, *[100] * 50)

    assert reader.readall() == DATA
    assert len(log.ranges) > RESUMES + 1


def test_error_that_is_no_broken_connection_is_raised_at_once(memory: MemoryObjectStore, clock: ManualClock) -> None:
    version = write(make_archive(memory, clock), "a.txt", "one")
    store = Faulty(memory, get=[fails(AccessDeniedError("Refused."))])

    with pytest.raises(AccessDeniedError, match=r"^Refused\.$"):
        make_archive(store, clock).reader(version).readall()

    assert store.count("get") == 1


# What is not visible, or gone


@pytest.fixture
def slow_to_show(memory: MemoryObjectStore, clock: ManualClock) -> Callable[[int], tuple[VersionReader, Faulty]]:
    """Return a function that opens a reader on an object that answers 404 so many times."""

    def make(times: int) -> tuple[VersionReader, Faulty]:
        version = write(make_archive(memory, clock), "a.txt", "one")
        missing = fails(KeyMissingError("No such key."))
        store = Faulty(memory, get=[missing] * times, head=[missing] * times)
        return make_archive(store, clock).reader(version), store

    return make


SlowToShow = Callable[[int], tuple[VersionReader, Faulty]]


def test_object_not_visible_yet_is_waited_for(slow_to_show: SlowToShow, clock: ManualClock) -> None:
    reader, store = slow_to_show(3)

    assert reader.readall() == b"one"
    assert (store.count("get"), store.count("list")) == (4, 3)
    assert 0 < clock.monotonic() < 1


def test_object_never_visible_is_an_error_of_its_own(slow_to_show: SlowToShow, clock: ManualClock) -> None:
    reader, _ = slow_to_show(10**6)

    with pytest.raises(NotYetVisibleError) as refused:
        reader.readall()

    assert str(refused.value) == (
        "Version 1 of 'a.txt' is there, but the store does not show its object after 30 seconds. It was written "
        f"{clock.now():%Y-%m-%d %H:%M} UTC: if that was just now, try again later; if not, somebody deleted it there, "
        "or it was lost."
    )
    assert clock.monotonic() == pytest.approx(33, abs=4)


def test_version_collected_while_it_is_read_is_not_found(archive: Archive, memory: MemoryObjectStore) -> None:
    version = write(archive, "a.txt", DATA)
    reader = archive.reader(version)
    reader.read(10)
    write(archive, "a.txt", "newer")
    memory.delete([version.key])
    reader.seek(MIB)

    with pytest.raises(VersionNotFoundError) as gone:
        reader.read(10)

    assert str(gone.value) == (
        "Version 1 of 'a.txt' is gone: it was collected or erased while it was being read. "
        "Open the file again for the current version."
    )


def test_open_version_is_read_whatever_is_written_meanwhile(archive: Archive) -> None:
    reader = archive.reader(write(archive, "a.txt", DATA))
    start = reader.read(10)
    write(archive, "a.txt", b"x" * len(DATA))
    archive.delete("a.txt")

    assert start + reader.readall() == DATA


# Headers


def test_headers_come_with_the_first_bytes(opened: Opened) -> None:
    reader, log = opened()
    reader.read(10)

    head = reader.head()

    assert (head.info.size, log.heads, len(log.ranges)) == (len(DATA), 0, 1)


def test_headers_asked_for_first_bring_the_first_bytes(opened: Opened) -> None:
    reader, log = opened()

    reader.head()

    assert reader.read(10) == DATA[:10]
    assert (log.heads, log.ranges) == (0, [(0, FIRST_WINDOW)])


@pytest.mark.parametrize(("data", "position"), [(b"", 0), (b"abc", 3)], ids=["empty-file", "at-the-end"])
def test_headers_where_no_byte_is_left_cost_one_head(opened: Opened, data: bytes, position: int) -> None:
    reader, log = opened(data)
    reader.seek(position)

    assert (reader.head().info.size, reader.head().info.size) == (len(data), len(data))
    assert (log.heads, log.ranges) == (1, [])


def test_headers_not_visible_yet_are_waited_for(memory: MemoryObjectStore, clock: ManualClock) -> None:
    version = write(make_archive(memory, clock), "a.txt", b"")
    store = Faulty(memory, head=[fails(KeyMissingError("No such key."))])

    head = make_archive(store, clock, index=make_archive(memory).index).reader(version).head()

    assert head.info.size == 0


# Closing


def test_closing_gives_the_connection_back(opened: Opened) -> None:
    reader, log = opened()
    reader.read(10)

    reader.close()

    assert [download.closed for download in log.downloads] == [True]
    assert reader.closed


def test_closing_an_unused_reader_makes_no_request(opened: Opened) -> None:
    reader, log = opened()

    reader.close()
    reader.close()

    assert log.ranges == []


@pytest.mark.parametrize("use", [lambda reader: reader.read(1), lambda reader: reader.readall()], ids=["read", "all"])
def test_closed_reader_is_not_read(opened: Opened, use: Callable[[VersionReader], object]) -> None:
    reader, log = opened()
    reader.close()

    with pytest.raises(ValueError, match=r"^I/O operation on closed file\.$"):
        use(reader)

    assert log.ranges == []


def test_patience_counts_from_each_request(memory: MemoryObjectStore, clock: ManualClock) -> None:
    version = write(make_archive(memory, clock), "a.txt", DATA)
    missing = fails(KeyMissingError("No such key."))
    day = meanwhile(lambda: clock.advance(timedelta(days=1)))
    reader = make_archive(Faulty(memory, get=[None, day, missing, None]), clock).reader(version)
    reader.read(10)
    reader.seek(0)
    reader.read(10)
    reader.seek(MIB)

    assert reader.read(10) == DATA[MIB:][:10]
