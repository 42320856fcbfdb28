"""`python -m tests.benchmarks.browsing [SCALE] [DATABASE]`: what the admin's lists of very many files cost, as a table.

100,000 names, of which one in ten is deleted, and one name with 10,000 versions, on SQLite and on PostgreSQL where it
is there. Seconds are told beside those of Django's own list of as many users, in the same process on the same database.
`SCALE` 0.01 takes a hundredth of everything. The store is an address where nothing listens, so a page that asked it
anything would fail.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 5
NAMES, VERSIONS = 100_000, 10_000
NOWHERE = "http://127.0.0.1:9"


def main(scale: float, kinds: Sequence[str] = ("sqlite", "postgresql")) -> None:
    """Measure on each database, and print the tables."""
    for kind in kinds:
        child = os.fork()
        if child == 0:
            _of_database(kind, scale)
            os._exit(0)
        os.waitpid(child, 0)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _of_database(kind: str, scale: float) -> None:
    with tempfile.TemporaryDirectory() as directory, _configured(kind, Path(directory)):
        names, versions = int(NAMES * scale), int(VERSIONS * scale)
        _fill(names, versions)
        say(f"\n{kind}: {names:,} names, one of {versions:,} versions; median of {ROUNDS}, in milliseconds")
        say(f"| {'page':48} | {'ms':>7} | {'of floor':>8} | queries |\n|{'-' * 50}|{'-' * 8}:|{'-' * 9}:|{'-' * 8}:|")
        client = _client()
        floor = _measure(client, "/admin/auth/user/", names)[0]
        for title, address in _pages(names, versions):
            seconds, queries = _measure(client, address, names)
            say(f"| {title:48} | {seconds * 1000:7.0f} | {seconds / floor:7.1f}x | {queries:7} |")


@contextmanager
def _configured(kind: str, directory: Path) -> Iterator[None]:
    """Set Django up with a new database."""
    from django.conf import settings

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    name = f"browsing_{os.getpid()}"
    server = {"HOST": "127.0.0.1", "PORT": 5432, "USER": "postgres"}
    if kind == "sqlite":
        settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / "db")}}
    else:
        import psycopg

        try:
            with psycopg.connect(host="127.0.0.1", port=5432, user="postgres", autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')
        except psycopg.OperationalError:
            say("There is no PostgreSQL here: not measured.")
            os._exit(0)
        settings.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": name, **server}}
    options = {**settings.STORAGES["default"]["OPTIONS"], "index": "database", "endpoint_url": NOWHERE}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection as database

    call_command("migrate", verbosity=0, run_syncdb=True)
    try:
        yield
    finally:
        database.close()
        if kind != "sqlite":
            with psycopg.connect(host="127.0.0.1", port=5432, user="postgres", autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}"')


def _fill(names: int, versions: int) -> None:
    from django.contrib.auth.models import User
    from django.core.files.storage import storages
    from django.db import connection, transaction

    from tests.objects_admin.rows import fill, place_of

    place = place_of(storages["default"])
    with transaction.atomic():
        fill(place, names, deleted_each=10)
        fill(place, 1, begin=names + 1, versions=versions)
        people = (User(username=f"user{number:07}", email=f"{number}@example.com") for number in range(names))
        User.objects.bulk_create(people, batch_size=2000)
        User.objects.create_superuser("admin", password="x")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _client() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username="admin"))
    return client


def _pages(names: int, versions: int) -> Iterator[tuple[str, str]]:
    from consistent_s3.models import StoredObject, StoredVersion

    objects, deleted, changes = (
        f"/admin/consistent_s3/{model}/" for model in ("storedobject", "deletedobject", "recentchange")
    )
    last = StoredObject.objects.filter(deleted=True).order_by("changed")[5]
    early = StoredVersion.objects.order_by("modified")[60]
    long = StoredObject.objects.get(newest=versions)
    yield "Django's own list of users (the floor)", "/admin/auth/user/"
    yield "Django's own list of users, last page", f"/admin/auth/user/?p={max(1, names // 100)}"
    yield "stored objects", objects
    yield "stored objects, last page", f"{objects}?p={max(1, names // 100)}"
    yield "stored objects, by name", f"{objects}?o=1"
    yield "stored objects, name contains", f"{objects}?q=file-00000"
    yield "stored objects, text of one size", f"{objects}?type=text&bytes=1&state=exists"
    yield "deleted files", deleted
    yield "deleted files, last page", f"{deleted}?after={_cursor(last.changed, last.pk)}"
    yield "deleted files, by person", f"{deleted}?person=bob"
    yield "deleted files, by person, of whom there are none", f"{deleted}?person=nobody"
    yield "recent changes", changes
    yield "recent changes, last page", f"{changes}?after={_cursor(early.modified, early.pk)}"
    yield "recent changes, by comment, of which is none", f"{changes}?words=nothing-like-it"
    yield "one object of very many versions", f"{objects}{long.pk}/change/"
    yield "one object of very many versions, last page", f"{objects}{long.pk}/change/?before=21"
    yield "export of all stored objects, JSON", f"{objects}export/json/"


def _cursor(moment: Any, pk: int) -> str:
    from urllib.parse import quote

    from consistent_s3.objects_admin.paging import Cursor

    return quote(str(Cursor(moment=moment, pk=pk)))


def _measure(client: Any, address: str, names: int) -> tuple[float, int]:
    """Return the median of the seconds, and the queries. Raises: `RuntimeError` for an answer that is no page."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    took, queries = [], 0
    ask: Callable[[], Any] = lambda: client.get(address)  # noqa: E731 - asked in two places
    for _round in range(1 if "export" in address else ROUNDS):
        began = time.perf_counter()
        answer = ask()
        with suppress(AttributeError):
            sum(len(part) for part in answer.streaming_content)
        took.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}.")
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
        with suppress(AttributeError):
            sum(len(part) for part in answer.streaming_content)
        queries = len(captured)
    return median(took), queries


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, sys.argv[2:] or ("sqlite", "postgresql"))
