"""How many requests and queries does each operation on a document cost?

A read costs what reading a file costs, and a write what saving one costs; an update asks once for the newest number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from consistent_s3 import state
from consistent_s3.core.errors import ConflictError
from consistent_s3.testing import assert_requests
from tests.databases import ALIAS

OPERATIONS: dict[str, tuple[Callable[[], Any], dict[str, dict[str, int]], int]] = {
    "read": (lambda: state.read("job"), {"listing": {"LIST": 1, "GET": 1}, "*": {"GET": 1}}, 1),
    "read what is missing": (lambda: state.read("none"), {"listing": {"LIST": 1}, "*": {}}, 1),
    "write": (lambda: state.write("job", 2), {"listing": {"LIST": 1, "PUT": 1}, "*": {"PUT": 1}}, 8),
    "update": (
        lambda: state.update("job", lambda value: value + 1),
        {"listing": {"LIST": 1, "GET": 1, "PUT": 1}, "*": {"GET": 1, "PUT": 1}},
        8,
    ),
    "update that changes nothing": (
        lambda: state.update("job", lambda value: value),
        {"listing": {"LIST": 1, "GET": 1}, "*": {"GET": 1}},
        1,
    ),
    "delete": (
        lambda: state.delete("job"),
        {"listing": {"LIST": 1, "PUT": 2}, "redis": {"PUT": 2}, "*": {"PUT": 1}},
        8,
    ),
    "history and one value": (
        lambda: next(state.history("job")).read(),
        {"listing": {"LIST": 1, "GET": 1}, "redis": {"LIST": 1, "GET": 1}, "*": {"GET": 1}},
        1,
    ),
}
"""What is done, the requests on each index, and the queries where the database is asked."""


@pytest.fixture
def written(storage: Any) -> Any:
    """Return the storage with one document; what is asked for and missing was asked for before."""
    state.write("job", 1)
    state.read("none")
    return storage


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_costs_these_requests(written, index, operation):
    act, requests, _ = OPERATIONS[operation]

    with assert_requests(written, **requests.get(index, requests["*"])):
        act()


@pytest.mark.parametrize("index", ["database"], indirect=True)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_costs_these_queries(written, operation, django_assert_num_queries):
    act, _, queries = OPERATIONS[operation]

    with django_assert_num_queries(queries, connection=connections[ALIAS]):
        act()


def test_a_write_that_expects_another_version_puts_nothing(written, index):
    number = state.write("job", 2).number

    with assert_requests(written, **({"LIST": 1} if index == "listing" else {})), pytest.raises(ConflictError):
        state.write("job", 3, expected=number - 1)


def test_a_large_document_costs_the_same(written, index):
    state.write("job", "x" * 1_000_000)

    with assert_requests(written, **({"LIST": 1, "GET": 1} if index == "listing" else {"GET": 1})):
        assert len(state.read("job")) == 1_000_000
