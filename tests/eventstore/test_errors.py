"""What a writer must catch can be imported where the event store is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from consistent_s3 import eventstore
from consistent_s3.core import errors

MODULES = sorted(Path(eventstore.__file__).parent.glob("*.py"))
INTERNAL = {"NumberTakenError"}
"""Caught before any caller meets them."""


def raised(path: Path) -> set[str]:
    """Return the names of the errors of the core that a module makes."""
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {name.id for name in calls if isinstance(name, ast.Name) and hasattr(errors, name.id)} - INTERNAL


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *(name for path in MODULES for name in raised(path)),
            "AccessDeniedError",
            "BucketMissingError",
            "ConsistentS3Error",
            "PreconditionsIgnoredError",
            "StoreError",
            "UnreachableError",
        }
    ),
)
def test_errors_of_streams_are_exported_and_are_those_of_the_core(name):
    assert name in eventstore.__all__
    assert getattr(eventstore, name) is getattr(errors, name)
