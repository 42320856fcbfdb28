"""An event store on a new bucket of a real S3 server."""

from __future__ import annotations

from typing import Any

import pytest

from consistent_s3.assembly import place_of
from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.measuring import truthful
from consistent_s3.storage import ConsistentS3Storage


@pytest.fixture
def events(storage: ConsistentS3Storage) -> EventStore:
    """Return an event store that has asked already what its bucket honours and how it tells sizes."""
    truthful.add(place_of(storage))
    return EventStore(storage.make_object_store(), "events", place=place_of(storage))


@pytest.fixture
def environment(storage_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return what an application's environment says of that bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return {
        "PERSISTENCE_MODULE": "consistent_s3.eventsourcing",
        "S3_BUCKET": storage_options["bucket_name"],
        "S3_ENDPOINT_URL": storage_options["endpoint_url"],
        "S3_REGION": "us-east-1",
    }
