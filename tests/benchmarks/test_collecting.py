"""The benchmark's promises, on a small scale."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.benchmarks.collecting import in_a_process

MEMORY = 64
"""MiB that a collection may take beyond what a process has anyway."""


@pytest.fixture(scope="module", params=[(1_500, 20), (15_000, 2)], ids=["names", "ten times the names"])
def measured(request: pytest.FixtureRequest) -> dict[str, Any]:
    return in_a_process("listing", *request.param)


def test_a_collection_sends_a_list_and_a_delete_for_a_thousand_keys(measured: dict[str, Any]) -> None:
    allowed = math.ceil(measured["versions"] / 1000) + math.ceil(measured["deleted"] / 1000)

    assert measured["LIST"] + measured["DELETE"] <= allowed * 1.05


def test_a_collection_takes_little_memory_however_many_names_there_are(measured: dict[str, Any]) -> None:
    assert measured["extra_mib"] < MEMORY


def test_a_plan_from_rows_asks_no_bucket_and_takes_little_memory() -> None:
    """Nothing listens where the bucket would be."""
    found = in_a_process("rows", 4_000)

    assert found["versions"] > 15_000
    assert found["extra_mib"] < MEMORY
