"""Applications of the Python `eventsourcing` library with their aggregates on S3.

    PERSISTENCE_MODULE=consistent_s3.eventsourcing
    S3_BUCKET=orders  S3_PREFIX=events              # credentials are found as boto3 finds them
    S3_STORAGE=default                              # or, in a Django project: an alias in STORAGES

1. An aggregate is a stream: the events of one save are one object, recorded whole or not at all. Of two savers who both
   follow the same version one gets an `IntegrityError`, also when an answer was lost on the way.
2. Snapshots (`IS_SNAPSHOTTING_ENABLED`) are streams of their own.
3. **There is no order between aggregates.** S3 orders what is written under one key, and nothing else. A number for
   each event of an application would need one place that every save goes through, and a save is one object in one
   stream. So notifications, subscriptions, trackings and with them `system` and `projection` are refused with
   `NotSupportedError`; `Application.save` works and returns no recordings. A pair of saves that must be one, of two
   aggregates, is refused for the same reason.

https://eventsourcing.readthedocs.io/en/stable/topics/persistence.html
"""

from consistent_s3.eventsourcing.factory import S3Factory
from consistent_s3.eventsourcing.recorders import S3AggregateRecorder, S3ApplicationRecorder, S3SnapshotRecorder

__all__ = ["S3AggregateRecorder", "S3ApplicationRecorder", "S3Factory", "S3SnapshotRecorder"]
