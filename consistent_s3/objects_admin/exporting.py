"""Lists as files, for spreadsheets and for programs.

1. Sent as they are read, a thousand rows at a time, so memory does not grow with their number.
2. What a spreadsheet would take for a formula begins with an apostrophe in CSV, since names, comments and authors are
   what anybody typed: at the beginning of a cell, and wherever a spreadsheet may begin another one, since some split at
   semicolons and tabs. All cells are quoted. JSON has all values as they are.
3. An attachment that browsers do not interpret.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, StreamingHttpResponse
from django.utils.translation import gettext as _

from consistent_s3.index.row_times import as_aware
from consistent_s3.objects_admin.hidden import newest_versions
from consistent_s3.objects_admin.paging import all_rows
from consistent_s3.objects_admin.places import Places, database

BATCH = 1000
"""Rows that are read together."""
FORMULA = re.compile(r"""(^(?=[=+\-@\t\r\n＝＋－＠])|[;,\t\r\n](?="*[=+\-@＝＋－＠]))""")
"""Where a cell becomes a formula: https://owasp.org/www-community/attacks/CSV_Injection"""
OF_OBJECTS = ("name", "storage", "state", "version", "size", "content_type", "changed", "author", "comment")
OF_CHANGES = ("when", "author", "action", "name", "storage", "version", "restored_from", "size", "comment")

Values = Mapping[str, Any]


def exported(form: str, title: str, columns: Sequence[str], rows: Iterable[Values]) -> StreamingHttpResponse:
    """Return the rows as a file, `csv` or `json`. Raises: `Http404` for any other form."""
    forms = {"csv": (_csv, "text/csv; charset=utf-8"), "json": (_json, "application/json")}
    if form not in forms:
        raise Http404(_("There is no such export."))
    write, media_type = forms[form]
    headers = {
        "Content-Disposition": f'attachment; filename="{title}.{form}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return StreamingHttpResponse(write(columns, rows), content_type=media_type, headers=headers)


def batches(rows: QuerySet[Any], by: str, known: Places, *, may_view: Callable[[Any], bool]) -> Iterator[Values]:
    """Yield what an export says of stored objects, newest first: two queries for every thousand.

    Nothing is said of those that `may_view` refuses.
    """
    every = all_rows(rows, by, size=BATCH)
    while batch := list(islice(every, BATCH)):
        seen = [row for row in batch if may_view(row)]
        newest = newest_versions(seen, using=database())
        for row in seen:
            version = newest.get(row.pk)
            yield {
                "name": row.name,
                "storage": known.label(row),
                "state": "deleted" if row.deleted else "exists",
                "version": row.newest,
                "size": row.size,
                "content_type": row.content_type,
                "changed": as_aware(row.changed),
                "author": version.author if version else "",
                "comment": version.comment if version else "",
            }


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv(columns: Sequence[str], rows: Iterable[Values]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    yield "\N{BYTE ORDER MARK}"  # or spreadsheets take it for another encoding
    yield str(writer.writerow(columns))
    for row in rows:
        yield str(writer.writerow([harmless(_told(row[column])) for column in columns]))


def _json(columns: Sequence[str], rows: Iterable[Values]) -> Iterator[str]:
    between = "[\n"
    for row in rows:
        yield between + json.dumps({column: _told(row[column]) for column in columns}, ensure_ascii=False)
        between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula, whatever it splits at."""
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value
