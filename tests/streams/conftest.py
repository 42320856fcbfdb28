"""A project whose default storage keeps streams of orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import storages

from consistent_s3.assembly import place_of
from consistent_s3.eventstore.measuring import truthful
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams import Event, EventStore, NewEvent, event_store

BACKEND = "consistent_s3.storage.ConsistentS3Storage"

Configure = Callable[..., ConsistentS3Storage]


@pytest.fixture
def configure(settings: Any, storage_options: dict[str, Any]) -> Configure:
    """Return a function that gives a storage options, and returns it."""

    def configure(alias: str = "default", **options: Any) -> ConsistentS3Storage:
        chosen = {"BACKEND": BACKEND, "OPTIONS": {**storage_options, "location": "files", **options}}
        settings.STORAGES = {**settings.STORAGES, alias: chosen}
        storage = storages[alias]
        assert isinstance(storage, ConsistentS3Storage)
        truthful.add(place_of(storage))  # the first look of a process costs more: see tests/eventstore
        return storage

    return configure


@pytest.fixture
def storage(configure: Configure) -> ConsistentS3Storage:
    return configure()


@pytest.fixture
def events(storage: ConsistentS3Storage) -> EventStore:
    return event_store()


def add(state: dict[str, Any], event: Event) -> dict[str, Any]:
    """Fold an order: add what was paid."""
    return {**state, "paid": state.get("paid", 0) + event.data.get("amount", 0), "last": event.type}


def fill(events: EventStore, stream_id: str, *amounts: int, stream_type: str = "order", each: int = 1) -> None:
    """Append payments, some at a time."""
    new = [NewEvent(type="Paid", data={"amount": amount}) for amount in amounts]
    version = events.version(stream_type, stream_id)
    for begin in range(0, len(new), each):
        some = new[begin : begin + each]
        version = events.append(stream_type, stream_id, some, expected_version=version).version
