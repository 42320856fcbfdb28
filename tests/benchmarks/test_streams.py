"""The benchmark's exact part: what events on S3 cost in requests, on a small scale."""

from __future__ import annotations

from pathlib import Path

from consistent_s3.testing import MemoryObjectStore
from tests.benchmarks import streams


def test_events_cost_the_requests_that_are_promised() -> None:
    found = {row["work"]: row["requests"] for row in streams.measure(streams.on_s3("test", MemoryObjectStore()), 40)}

    assert found == {
        "append 1 event": {"LIST": 1, "PUT": 40},
        "append 10 events": {"LIST": 1, "PUT": 40},
        "append 1 event, 8 writers": {"LIST": 8, "PUT": 40},
        "read a stream of single events": {"GET": 40, "LIST": 1},
        "read a stream of tens": {"GET": 40, "LIST": 1},
        "read the last 10 events": {"GET": 1, "LIST": 1},
        "read it, once compacted": {"GET": 2, "LIST": 1},
        "folded state, with a snapshot": {"GET": 1, "LIST": 1},
    }


def test_table_has_a_line_for_each_measurement(tmp_path: Path) -> None:
    rows = streams.measure(streams.on_s3("streams, HTTP", MemoryObjectStore()), 8)
    rows += streams.measure(streams.sqlite_subject(tmp_path), 8)

    assert len(streams.table(rows).splitlines()) == 15
    assert "SQLite" in streams.table(rows)
