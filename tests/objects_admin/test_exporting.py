"""Lists as files: what is found, harmless to spreadsheets, and never all in memory."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consistent_s3.objects_admin import exporting
from consistent_s3.objects_admin.exporting import harmless
from consistent_s3.testing import assert_requests
from tests.objects_admin.conftest import clerk, row, save, url
from tests.objects_admin.rows import fill, place_of

pytestmark = pytest.mark.django_db

LISTS = ["storedobject", "deletedobject", "recentchange"]


def exported(client: Any, model: str, form: str, query: str = "") -> Any:
    answer = client.get(url("export", form, model=model) + query)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["X-Content-Type-Options"] == "nosniff"
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text))) if form == "csv" else json.loads(text)


@pytest.fixture
def files(storage: Any) -> Any:
    save(storage, "a.txt", b"one", author="ann", comment="=HYPERLINK(0)")
    save(storage, "b.txt", b"two!", author="bob", comment='€ "quoted",\nline')
    storage.delete("b.txt", author="@eve")
    return storage


def test_objects_are_exported_as_they_are_filtered(files, admin_client):
    every = exported(admin_client, "storedobject", "json")
    one = exported(admin_client, "storedobject", "csv", "?state=exists&q=a&p=1")

    assert [(line["name"], line["state"], line["author"], line["version"]) for line in every] == [
        ("b.txt", "deleted", "@eve", 2),
        ("a.txt", "exists", "ann", 1),
    ]
    assert [(line["name"], line["size"], line["comment"]) for line in one] == [("a.txt", "3", "'=HYPERLINK(0)")]


def test_deleted_files_are_exported(files, admin_client):
    assert [line["name"] for line in exported(admin_client, "deletedobject", "json")] == ["b.txt"]
    assert exported(admin_client, "deletedobject", "json", "?name=a") == []
    assert [line["author"] for line in exported(admin_client, "deletedobject", "csv")] == ["'@eve"]


def test_changes_are_exported(files, admin_client):
    found = exported(admin_client, "recentchange", "csv", "?person=bob")

    assert [(line["action"], line["name"], line["comment"]) for line in found] == [
        ("saved", "b.txt", '€ "quoted",\nline')
    ]
    assert [line["action"] for line in exported(admin_client, "recentchange", "json")] == ["deleted", "saved", "saved"]


def test_what_was_chosen_is_exported(files, admin_client):
    data = {"action": "export_json_chosen", "_selected_action": [row("a.txt").pk]}

    answer = admin_client.post(url("changelist"), data)

    assert [line["name"] for line in json.loads(b"".join(answer.streaming_content))] == ["a.txt"]


@pytest.mark.parametrize("model", LISTS)
def test_an_export_is_read_in_batches_and_says_every_row_once(storage, admin_client, model, monkeypatch):
    monkeypatch.setattr(exporting, "BATCH", 10)
    fill(place_of(storage), 35, deleted_each=1)

    with CaptureQueriesContext(connection) as queries, assert_requests(storage):
        found = exported(admin_client, model, "json")

    expected = 70 if model == "recentchange" else 35
    assert len({(line["name"], line["version"]) for line in found}) == len(found) == expected
    assert not any("OFFSET" in query["sql"] for query in queries)


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_who_may_not_see_a_list_may_not_export_it(files, model, form):
    client = clerk("download_storedobject", "view_hold")

    assert client.get(url("export", form, model=model)).status_code == 403
    assert client.post(url("export", form, model=model)).status_code in {403, 405}


@pytest.mark.parametrize("model", LISTS)
def test_another_form_is_not_found(files, admin_client, model):
    assert admin_client.get(url("export", "exe", model=model)).status_code == 404


def test_a_filter_that_there_is_not_is_not_found(files, admin_client):
    assert admin_client.get(url("export", "csv") + "?secret__startswith=x").status_code == 404


def test_all_cells_are_quoted_and_a_formula_behind_any_separator_is_harmless(storage, admin_client):
    save(storage, "a.txt", author="ann", comment="x;=cmd|' /C calc'!A1")

    answer = admin_client.get(url("export", "csv"))

    _heading, line, rest = b"".join(answer.streaming_content).decode("utf-8-sig").split("\r\n")
    assert line.startswith('"a.txt","default","exists","1","1","text/plain","')
    assert line.endswith('","ann","x;\'=cmd|\' /C calc\'!A1"')
    assert rest == ""


FORMULAS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1": "'-1",
    "@SUM(A1)": "'@SUM(A1)",
    "＝1": "'＝1",
    "\tx": "'\tx",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    "x;=1": "x;'=1",
    "x,+1": "x,'+1",
    "x\t-1": "x\t'-1",
    "x\n@1": "x\n'@1",
    'x;"=1': "x;'\"=1",
    "x;;=1;＠1": "x;;'=1;'＠1",
}


@pytest.mark.parametrize(("text", "cell"), [pytest.param(*row, id=repr(row[0])) for row in FORMULAS.items()])
def test_a_formula_is_made_harmless(text, cell):
    assert harmless(text) == cell


@pytest.mark.parametrize("value", ["a=1", "", 7, "'=1", "a; b, c", "x;'=1"])
def test_anything_else_stays_as_it_is(value):
    assert harmless(value) == value
