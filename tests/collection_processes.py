"""What `test_collection_workers` runs in processes of its own: a bucket that counts, and a project that is filled.

python -m tests.collection_processes bucket NAMES [rows]
python -m tests.collection_processes project NAMES [rows]
python -m tests.collection_processes report
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

BUCKET = "files"
KEEP = 2
OLD = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 2000
_KEY = re.compile(rb"<Key>([^<]*)</Key>")


def names(count: int) -> Iterator[tuple[str, int]]:
    """Yield names and how many versions each has: 1 to 7, so 4 on average."""
    for place in range(count):
        yield f"d{place % 11}/file{place:06}.txt", 1 + place % 7


def key(name: str, number: int, *, rows: bool) -> str:
    from consistent_s3.core.keys import Layout

    return Layout().version_key(name, number, write_id=write_id(number) if rows else "")


def write_id(number: int) -> str:
    return f"{number:024x}"


def data(key: str) -> bytes:
    return key[-30:].encode()


def bucket(count: int, *, rows: bool) -> None:
    """Serve a filled bucket until the input ends, and print its address; `/-/counts` and `/-/objects` tell of it."""
    from moto.s3.models import s3_backends

    from consistent_s3.testing import S3Server
    from tests.seeding import ACCOUNT

    with S3Server() as server:
        backend = s3_backends[ACCOUNT]["aws"]
        backend.create_bucket(BUCKET, "us-east-1")
        for name, versions in names(count):
            for number in range(1, versions + 1):
                made = backend.put_object(BUCKET, key(name, number, rows=rows), data(key(name, number, rows=rows)))
                made.last_modified = OLD + timedelta(days=number)
        server._server.app = _Counting(server._application, backend)  # type: ignore[assignment]
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


class _Counting:
    """A WSGI application that counts what passes."""

    def __init__(self, application: Any, backend: Any) -> None:
        self._application = application
        self._backend = backend
        self.counts = {"LIST": 0, "DELETE": 0, "keys": 0, "distinct": 0}
        self._deleted: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/-/"):
            answer = json.dumps(self.counts if environ["PATH_INFO"] == "/-/counts" else self._objects()).encode()
            start_response("200 OK", [("Content-Length", str(len(answer)))])
            return [answer]
        if environ["REQUEST_METHOD"] == "POST" and "delete" in environ["QUERY_STRING"]:
            import io

            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            keys = [unquote(found.decode()) for found in _KEY.findall(body)]
            self._deleted.update(keys)
            self.counts["DELETE"] += 1
            self.counts["keys"] += len(keys)
            self.counts["distinct"] = len(self._deleted)
        elif "list-type" in environ["QUERY_STRING"]:
            self.counts["LIST"] += 1
        return self._application(environ, start_response)

    def _objects(self) -> dict[str, bool]:
        """Return all keys, and whether each has the bytes that it had."""
        return {key: kept.value == data(key) for key, kept in self._backend.buckets[BUCKET].keys.items()}


def project(count: int, *, rows: bool) -> None:
    """Make the tables, and with `rows` those of an index that knows all; as if strays had been looked for just now."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from consistent_s3.models import CollectionRun, StoredObject, StoredVersion, digest

    call_command("migrate", run_syncdb=True, verbosity=0)
    if not rows:
        return
    place = f"{BUCKET}/"
    state = CollectionRun.State.DONE
    CollectionRun.objects.create(storage="default", place=place, state=state, started=timezone.now())
    StoredObject.objects.bulk_create(
        (
            StoredObject(
                digest=digest(place, name),
                place_digest=digest(place),
                place=place,
                name=name,
                directory=name.partition("/")[0],
                directory_digest=digest(place, name.partition("/")[0]),
                newest=versions,
            )
            for name, versions in names(count)
        ),
        batch_size=BATCH,
    )
    pks = dict(StoredObject.objects.values_list("name", "pk"))
    StoredVersion.objects.bulk_create(
        (
            StoredVersion(
                stored_object_id=pks[name],
                number=number,
                write_id=write_id(number),
                key=key(name, number, rows=True),
                size=len(data(key(name, number, rows=True))),
                modified=OLD + timedelta(days=number),
            )
            for name, versions in names(count)
            for number in range(1, versions + 1)
        ),
        batch_size=BATCH,
    )


def report() -> None:
    """Print what the runs have come to, and how many rows there are."""
    import django

    django.setup()
    from consistent_s3.models import CollectionRun, CollectionSlice, StoredVersion

    runs = CollectionRun.objects.exclude(started_by="").order_by("pk")
    values = runs.values("state", "summary", "planned", "message", "lists_bucket")
    told = {
        "runs": list(values),
        "rows": StoredVersion.objects.count(),
        "slices": CollectionSlice.objects.count(),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    program, *arguments = sys.argv[1:]
    if program == "report":
        report()
    else:
        {"bucket": bucket, "project": project}[program](int(arguments[0]), rows="rows" in arguments)
