"""Note with each name what its newest version says, for the rows that were written before there were columns for it."""

from typing import Any

from django.db import migrations
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Left


def note(apps: Any, schema_editor: Any) -> None:
    """Fill the columns of every name that has a newest version: one statement; harmless when it runs again."""
    alias = schema_editor.connection.alias
    objects = apps.get_model("consistent_s3", "StoredObject").objects.using(alias)
    versions = apps.get_model("consistent_s3", "StoredVersion").objects.using(alias)
    newest = versions.filter(stored_object=OuterRef("pk"), number=OuterRef("newest")).order_by()
    short = newest.annotate(short=Left(F("content_type"), 100))
    objects.filter(Exists(newest)).update(
        deleted=Subquery(newest.values("tombstone")[:1]),
        size=Subquery(newest.values("size")[:1]),
        changed=Subquery(newest.values("modified")[:1]),
        content_type=Subquery(short.values("short")[:1]),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("consistent_s3", "0005_objects_admin"),
    ]

    operations = [
        migrations.RunPython(note, migrations.RunPython.noop, elidable=True),
    ]
