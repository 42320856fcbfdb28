"""A file's history on a project's own pages: who may see it, what it says, and that nothing in it runs."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client
from django.urls import path

from consistent_s3 import views
from consistent_s3.core.errors import (
    AccessDeniedError,
    KeyMissingError,
    NotYetVisibleError,
    ObjectArchivedError,
    UnreachableError,
    VersionNotFoundError,
)
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.testing import count_requests
from consistent_s3.views import DownloadView, HistoryView
from tests.archive.models import Contract

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def may_read(request: HttpRequest, row: Any) -> bool:
    return request.GET.get("as") == "friend"


class OwnHistoryView(HistoryView):
    queryset = Contract.objects.exclude(title="secret")
    field = "file"

    def allowed(self, request: HttpRequest, row: Any) -> bool:
        return may_read(request, row)


urlpatterns = [
    path(
        "contracts/<int:pk>/versions/",
        HistoryView.as_view(model=Contract, field="file", allowed=may_read, download="version"),
    ),
    path(
        "contracts/<int:pk>/versions/<int:number>/",
        DownloadView.as_view(model=Contract, field="file", allowed=may_read),
        name="version",
    ),
    path("own/<int:pk>/", OwnHistoryView.as_view()),
]


@pytest.fixture
def contract(default_storage: Any) -> Contract:
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"), author="ann", comment="signed")
    contract.file.save("lease-2.html", ContentFile(b"<script>alert(1)</script>"), author="bob", comment="<b>new</b>")
    return contract


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the store answer everything with an error."""

    def answer(*_: Any, **__: Any) -> Any:
        raise error

    for request in ("list", "get", "head"):
        monkeypatch.setattr(S3ObjectStore, request, answer)


def get(url: str, **parameters: Any) -> Any:
    return Client().get(url, {"as": "friend", **parameters})


def test_the_history_of_a_file_is_told_newest_first(contract):
    answer = get(f"/contracts/{contract.pk}/versions/")

    told = answer.json()
    newest, oldest = told["versions"]
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "private, no-store")
    assert (told["name"], told["next"]) == (contract.file.name, None)
    assert newest | {"modified": ""} == {
        "number": 2,
        "modified": "",
        "size": 25,
        "author": "bob",
        "comment": "<b>new</b>",
        "original_name": "lease-2.html",
        "content_type": "text/html",
        "deleted": False,
        "current": True,
        "in_use": True,
        "url": f"/contracts/{contract.pk}/versions/2/",
    }
    assert newest["modified"] == contract.file.version.modified.isoformat()
    assert (oldest["number"], oldest["current"], oldest["author"]) == (1, False, "ann")


def test_the_version_that_a_pinned_row_has_is_in_use(contract):
    Contract.objects.update(file_version=1)

    newest, oldest = get(f"/contracts/{contract.pk}/versions/").json()["versions"]

    assert [(one["current"], one["in_use"]) for one in (newest, oldest)] == [(True, False), (False, True)]


def test_in_use_is_what_is_current_unless_a_row_is_pinned(contract):
    Contract.objects.update(file_version=None)

    told = get(f"/contracts/{contract.pk}/versions/").json()["versions"]

    assert [(one["current"], one["in_use"]) for one in told] == [(True, True), (False, False)]


def test_what_versions_say_of_themselves_is_asked_for_side_by_side(contract, monkeypatch):
    met = threading.Barrier(2)  # broken, and so an error, if one request waited for the other
    head = S3ObjectStore.head

    def head_together(store: Any, *args: Any) -> Any:
        met.wait(timeout=30)
        return head(store, *args)

    monkeypatch.setattr(S3ObjectStore, "head", head_together)
    told = get(f"/contracts/{contract.pk}/versions/").json()["versions"]

    assert [one["author"] for one in told] == ["bob", "ann"]


def test_a_long_history_is_told_in_pages(contract, monkeypatch):
    monkeypatch.setattr(views, "PAGE", 1)
    first = get(f"/contracts/{contract.pk}/versions/").json()
    second = get(f"/contracts/{contract.pk}/versions/", before=first["next"]).json()

    assert [version["number"] for version in first["versions"] + second["versions"]] == [2, 1]
    assert (first["next"], second["next"]) == (2, None)
    assert [version["current"] for version in second["versions"]] == [False]


def test_a_deletion_is_told_and_leads_nowhere(contract):
    contract.file.storage.delete(contract.file.name)

    newest, *_ = get(f"/contracts/{contract.pk}/versions/").json()["versions"]

    assert (newest["number"], newest["deleted"], newest["current"], newest["url"]) == (3, True, False, None)


@pytest.mark.parametrize("url", ["/contracts/{}/versions/", "/contracts/{}/versions/1/", "/own/{}/"])
def test_who_is_not_allowed_sees_nothing(contract, url):
    with count_requests(contract.file.storage) as log:
        answer = Client().get(url.format(contract.pk))

    assert (answer.status_code, sum(log.counts.values())) == (403, 0)


@pytest.mark.parametrize("url", ["/contracts/{}/versions/", "/contracts/{}/versions/1/", "/own/{}/"])
def test_nothing_is_changed_by_asking(contract, url):
    assert Client().post(f"{url.format(contract.pk)}?as=friend").status_code == 405


def test_a_project_may_choose_the_rows(contract):
    shown = get(f"/own/{contract.pk}/").status_code
    Contract.objects.update(title="secret")

    assert (shown, get(f"/own/{contract.pk}/").status_code) == (200, 404)


def test_a_version_is_an_attachment_that_no_browser_interprets(contract):
    answer = get(f"/contracts/{contract.pk}/versions/2/")

    assert b"".join(answer) == b"<script>alert(1)</script>"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="lease-2.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("said", ["plan.txt\n", "pl\r\nan.txt", "\x00plan\x7f.txt"])
def test_control_characters_in_what_an_upload_was_called_are_left_out(contract, default_storage, said):
    default_storage.write(contract.file.name, ContentFile(b"three"), original_name=said)

    answer = get(f"/contracts/{contract.pk}/versions/3/")

    assert answer["Content-Disposition"] == 'attachment; filename="plan.txt"'


@pytest.mark.parametrize("url", ["/contracts/{}/versions/7/", "/contracts/0/versions/", "/contracts/0/versions/1/"])
def test_what_is_not_there_is_not_found(contract, url):
    assert get(url.format(contract.pk)).status_code == 404


@pytest.mark.parametrize("error", [VersionNotFoundError("gone: /secret"), KeyMissingError("gone: /secret")])
def test_a_version_that_is_collected_meanwhile_is_not_found(contract, monkeypatch, error):
    fail(monkeypatch, error)

    answer = get(f"/contracts/{contract.pk}/versions/1/")

    assert answer.status_code == 404
    assert "secret" not in answer.content.decode()


LATER = "The store does not answer now. Try again later."
HIDDEN = "The bytes of this version cannot be found now. Try again later."
ARCHIVED = "This version is in the archive and cannot be read at once."
FAILURES = pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnreachableError("no route to /secret"), LATER),
        (AccessDeniedError("no right to /secret"), LATER),
        (NotYetVisibleError("no object /secret"), HIDDEN),
        (ObjectArchivedError("/secret is in GLACIER"), ARCHIVED),
    ],
    ids=["silent", "refusing", "hiding", "archived"],
)


@FAILURES
def test_a_version_that_cannot_be_sent_now_says_why(contract, monkeypatch, error, said):
    fail(monkeypatch, error)

    answer = get(f"/contracts/{contract.pk}/versions/1/")

    assert (answer.status_code, answer.content.decode()) == (503, said)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-store"


@FAILURES
def test_a_history_that_cannot_be_told_now_says_why_as_json(contract, monkeypatch, error, said):
    fail(monkeypatch, error)

    answer = get(f"/contracts/{contract.pk}/versions/")

    assert (answer.status_code, answer.json()) == (503, {"error": said})
    assert answer["Cache-Control"] == "private, no-store"


def test_a_name_that_leads_out_of_the_storage_is_a_bad_request(contract):
    Contract.objects.update(file="../lease.txt")

    assert get(f"/contracts/{contract.pk}/versions/1/").status_code == 400


def test_a_row_without_a_file_has_no_history(default_storage):
    contract = Contract.objects.create(title="Nothing yet")

    assert get(f"/contracts/{contract.pk}/versions/").status_code == 404


@pytest.mark.parametrize("before", ["x", "-1", "²", "9" * 5000], ids=["x", "sign", "script", "long"])
def test_nonsense_is_refused(contract, before):
    assert get(f"/contracts/{contract.pk}/versions/", before=before).status_code == 400


@pytest.mark.parametrize("missing", ["field", "allowed"])
def test_a_view_that_would_not_know_what_to_show_or_to_whom_is_refused(missing):
    given = {"model": Contract, "field": "file", "allowed": may_read}
    del given[missing]

    with pytest.raises(ImproperlyConfigured, match=f"HistoryView needs {missing}="):
        HistoryView.as_view(**given)


def test_a_view_without_rows_is_refused(rf):
    view = HistoryView.as_view(field="file", allowed=may_read)

    with pytest.raises(ImproperlyConfigured, match="needs model= or queryset="):
        view(rf.get("/"), pk=1)


# In templates


def stored_with(settings: Any, **options: Any) -> Any:
    """Return the file of the only row, in a default storage with options to add."""
    default = settings.STORAGES["default"]
    settings.STORAGES = {**settings.STORAGES, "default": {**default, "OPTIONS": {**default["OPTIONS"], **options}}}
    return Contract.objects.get().file


def lives(url: str) -> int:
    """Return for how many seconds a signed address can be used."""
    return int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])


def render(source: str, **context: Any) -> str:
    return Template("{% load consistent_s3 %}" + source).render(Context(context))


def test_a_template_shows_the_newest_versions(contract):
    source = (
        "{% file_history file limit=1 as versions %}{% for v in versions %}{{ v.number }} {{ v.comment }};{% endfor %}"
    )

    assert render(source, file=contract.file) == "2 &lt;b&gt;new&lt;/b&gt;;"


def test_a_template_shows_the_current_version_and_where_to_get_an_old_one(contract):
    source = "{% file_version file as v %}{{ v.number }} {% version_url file 1 %}"

    number, url = render(source, file=contract.file).split()
    assert number == "2"
    assert contract.file.storage.version(contract.file.name, 1).key.rpartition("/")[2] in url


def test_an_address_in_a_template_lives_for_minutes_and_sends_an_attachment(contract, settings):
    file = stored_with(settings, signature_version="s3v4")
    url = render("{% autoescape off %}{% version_url file 2 %}{% endautoescape %}", file=file)
    shorter = render("{% autoescape off %}{% version_url file 2 expire=60 %}{% endautoescape %}", file=file)

    with urlopen(url) as answer:
        assert answer.read() == b"<script>alert(1)</script>"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="lease-2.html"'
    assert lives(url) == 300
    assert lives(shorter) == 60


@pytest.mark.parametrize(
    "options", [{"querystring_auth": False}, {"custom_domain": "cdn.example.org"}], ids=["unsigned", "domain"]
)
def test_an_address_that_is_not_signed_asks_the_store_for_nothing(contract, settings, options):
    file = stored_with(settings, **options)

    url = render("{% autoescape off %}{% version_url file 2 %}{% endautoescape %}", file=file)

    assert url == storages["default"].url(file.name, version=2)
    assert "disposition" not in url.lower()


def test_a_template_of_a_row_without_a_file_shows_nothing(default_storage):
    source = "{% file_history file as versions %}{{ versions|length }}{% file_version file as v %}{{ v }}"

    assert render(source, file=Contract().file) == "0None"


def test_a_template_of_a_deleted_file_shows_its_history(contract):
    contract.file.storage.delete(contract.file.name)
    contract.refresh_from_db()
    unpinned = Contract(file=contract.file.name)
    source = "{% file_version file as v %}{{ v }} {% file_history file as versions %}{{ versions|length }}"

    assert render(source, file=unpinned.file) == "None 3"


def test_answers_are_fit_for_json(contract):
    assert json.loads(get(f"/contracts/{contract.pk}/versions/").content)
