"""Which event store does an application of the library get? Its environment says so."""

from __future__ import annotations

from functools import cached_property

from botocore.config import Config
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    NotSupportedError,
    ProcessRecorder,
    TrackingRecorder,
)

from consistent_s3.clients import POOL, own_client
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.eventsourcing.recorders import (
    NO_ORDER,
    S3AggregateRecorder,
    S3ApplicationRecorder,
    S3SnapshotRecorder,
)
from consistent_s3.eventstore import EventStore

SNAPSHOTS = "snapshots"


class S3Factory(InfrastructureFactory[TrackingRecorder]):
    """Makes recorders on S3.

    Each variable may begin with the application's name and `_`, as all of the library's: `S3_BUCKET` (or, in a Django
    project, `S3_STORAGE`: an alias in `STORAGES`); with a bucket also `S3_PREFIX` (`events`), `S3_ENDPOINT_URL` and
    `S3_REGION`. Streams have the types `<application>_events` and `<application>_snapshots`, in lower case.

    Raises: `InfrastructureFactoryError` where neither a bucket nor a storage is named, or both are, or a storage and
    what its options say already.
    """

    S3_BUCKET = "S3_BUCKET"
    S3_STORAGE = "S3_STORAGE"
    S3_PREFIX = "S3_PREFIX"
    S3_ENDPOINT_URL = "S3_ENDPOINT_URL"
    S3_REGION = "S3_REGION"

    @cached_property
    def events(self) -> EventStore:
        """Return the event store; no request is sent."""
        bucket, storage = self.env.get(self.S3_BUCKET), self.env.get(self.S3_STORAGE)
        if bool(bucket) == bool(storage):
            raise InfrastructureFactoryError(
                f"{self.S3_BUCKET} is {bucket!r} and {self.S3_STORAGE} is {storage!r}. Set one of them: a bucket's "
                "name, or an alias in Django's STORAGES."
            )
        if storage:
            self._refuse_what_it_says(storage)
            from consistent_s3.streams import event_store  # noqa: PLC0415 - only in a Django project

            return event_store(storage)
        endpoint = {
            "endpoint_url": self.env.get(self.S3_ENDPOINT_URL) or None,
            "region_name": self.env.get(self.S3_REGION) or None,
        }
        client = own_client({}, endpoint, Config(max_pool_connections=POOL))
        return EventStore(
            S3ObjectStore(client=client, bucket=str(bucket)),
            self.env.get(self.S3_PREFIX) or "events",
            place=f"{client().meta.endpoint_url}/{bucket}",
        )

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Return a recorder of events, or of snapshots."""
        recorder = S3SnapshotRecorder if purpose == SNAPSHOTS else S3AggregateRecorder
        return recorder(self.events, stream_type=self._stream_type(purpose))

    def application_recorder(self) -> ApplicationRecorder:
        """Return a recorder of events, without an order between aggregates."""
        return S3ApplicationRecorder(self.events, stream_type=self._stream_type("events"))

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        """Raise `NotSupportedError`."""
        raise NotSupportedError(NO_ORDER)

    def process_recorder(self) -> ProcessRecorder:
        """Raise `NotSupportedError`."""
        raise NotSupportedError(NO_ORDER)

    def _refuse_what_it_says(self, storage: str) -> None:
        for name in (self.S3_PREFIX, self.S3_ENDPOINT_URL, self.S3_REGION):
            if self.env.get(name):
                raise InfrastructureFactoryError(
                    f"{self.S3_STORAGE} is {storage!r}, whose options say where streams are, so {name} would mean "
                    f"nothing. Leave it out, or name a bucket with {self.S3_BUCKET}."
                )

    def _stream_type(self, purpose: str) -> str:
        return "_".join(part for part in (self.env.name.lower(), purpose) if part)
