"""What does the project say of its streams, so that the admin and the command can show their states?

    CONSISTENT_S3_STREAMS = {
        "order": {"fold": "shop.orders.fold", "initial": {"lines": []}, "schema_version": 1},
    }

Nothing of it is needed to append and to read. `fold(state, event)` returns the next state; see `EventStore.state`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from consistent_s3.conf import check_known
from consistent_s3.eventstore import Event, Folded
from consistent_s3.eventstore.store import SNAPSHOT_EVERY
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams.stores import event_store, has_streams, unfitness

SETTING = "CONSISTENT_S3_STREAMS"
OPTIONS = ("fold", "initial", "schema_version", "snapshot_every")

Fold = Callable[[Any, Event], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKind:
    """What all streams of a type have in common."""

    type: str
    fold: Fold
    initial: Any = field(default_factory=dict)
    """The state of a stream without events."""
    schema_version: int | str = 1
    snapshot_every: int | None = SNAPSHOT_EVERY
    """Events after which `stream_state` keeps the state with them; `None` for never."""


def stream_kind(stream_type: str) -> StreamKind | None:
    """Return what the settings say of a type; `None` for nothing. Raises `ImproperlyConfigured`."""
    said: Any = getattr(settings, SETTING, {})
    if not isinstance(said, Mapping):
        raise ImproperlyConfigured(f"{SETTING} is {said!r}. Give a dict of stream types.")
    if stream_type not in said:
        return None
    options, where = said[stream_type], f"{SETTING}[{stream_type!r}]"
    if not isinstance(options, Mapping):
        raise ImproperlyConfigured(f"{where} is {options!r}. Give a dict with 'fold'.")
    check_known(options, OPTIONS, where=where)
    if "fold" not in options:
        raise ImproperlyConfigured(f"{where} has no 'fold'. Name a function (state, event) -> state.")
    schema_version, snapshot_every = options.get("schema_version", 1), options.get("snapshot_every", SNAPSHOT_EVERY)
    if isinstance(schema_version, bool) or not isinstance(schema_version, int | str):
        raise ImproperlyConfigured(f"{where}['schema_version'] is {schema_version!r}. Give a whole number or a string.")
    if snapshot_every is not None and (
        isinstance(snapshot_every, bool) or not isinstance(snapshot_every, int) or snapshot_every < 1
    ):
        raise ImproperlyConfigured(f"{where}['snapshot_every'] is {snapshot_every!r}. Give at least 1, or None.")
    return StreamKind(
        type=stream_type,
        fold=imported(options["fold"], where=f"{where}['fold']"),
        initial=options.get("initial", {}),
        schema_version=schema_version,
        snapshot_every=snapshot_every,
    )


def may_keep_streams(storage: ConsistentS3Storage) -> bool:
    """Return whether a storage has streams, or may come to have some: the settings name a type, or the bucket has one.

    One that refuses streams has none. 1 LIST of one key, where the settings name no type.
    """
    return not unfitness(storage) and (bool(getattr(settings, SETTING, {})) or has_streams(storage))


def imported(fold: Any, *, where: str) -> Fold:
    """Return a function given as such or by its dotted path. Raises `ImproperlyConfigured`."""
    try:
        found = import_string(fold) if isinstance(fold, str) else fold
    except ImportError as error:
        raise ImproperlyConfigured(f"{where}: {error}. Name a function by its dotted path.") from error
    if not callable(found):
        raise ImproperlyConfigured(f"{where} is {fold!r}, which is no function. Name a function (state, event).")
    return found  # type: ignore[no-any-return]


def stream_state(stream_type: str, stream_id: str, *, using: str = "default") -> Folded[Any]:
    """Return the state of a stream, as the settings say how it is folded; see `EventStore.state`.

    Raises: `ImproperlyConfigured` where they say nothing of its type, and as `EventStore.state`.
    """
    kind = stream_kind(stream_type)
    if kind is None:
        raise ImproperlyConfigured(
            f"Nothing is said of streams of type {stream_type!r}. Name their fold in {SETTING}, or call state() of the "
            "event store with one."
        )
    return event_store(using).state(
        stream_type,
        stream_id,
        kind.fold,
        kind.initial,
        schema_version=kind.schema_version,
        snapshot_every=kind.snapshot_every,
    )
