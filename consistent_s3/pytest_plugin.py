"""pytest fixtures, found by pytest once this package is installed.

`consistent_storage`: Django's default storage is an empty one in memory, for this test (needs pytest-django).
`s3_server`: a real S3 server on loopback, for the whole session (needs the extra `example`).

Everything is imported inside the fixtures: a project that does not use them pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from consistent_s3.testing.server import S3Server
    from consistent_s3.testing.storage import InMemoryConsistentStorage


@pytest.fixture
def consistent_storage(request: pytest.FixtureRequest) -> InMemoryConsistentStorage:
    """Make Django's default storage an empty one in memory, and return it."""
    from django.core.files.storage import storages  # noqa: PLC0415 - only where it is used

    settings: Any = request.getfixturevalue("settings")
    backend = {"BACKEND": "consistent_s3.testing.storage.InMemoryConsistentStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    return storages["default"]  # type: ignore[return-value]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Serve S3 on a free port of loopback; its `url` is the endpoint."""
    from consistent_s3.testing.server import S3Server  # noqa: PLC0415 - only where it is used

    with S3Server() as server:
        yield server
