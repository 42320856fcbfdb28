"""What holds for all lists: they are found, say what they cannot show, and run nothing that anybody typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.core.files.base import ContentFile
from django.urls import path, reverse

from tests.archive.models import Document
from tests.objects_admin.conftest import clerk, row, save, token, url

pytestmark = pytest.mark.django_db

LISTS = ["storedobject", "deletedobject", "recentchange"]
SCRIPT = "<script>alert(1)</script>"


def test_the_index_of_the_admin_leads_to_every_list(storage):
    page = clerk("view_storedobject", "view_hold").get(reverse("admin:app_list", args=["consistent_s3"]))

    text = page.content.decode()
    for words, model in [
        ("Stored objects", "storedobject"),
        ("Recent changes", "recentchange"),
        ("Deleted files", "deletedobject"),
        ("Holds", "hold"),
    ]:
        assert f'href="{url("changelist", model=model)}"' in text
        assert words in text
    assert "Versioned files" in text


def test_the_index_tells_only_of_what_somebody_may_see(storage):
    text = clerk("view_hold").get(reverse("admin:index")).content.decode()

    assert url("changelist", model="hold") in text
    assert not any(url("changelist", model=model) in text for model in LISTS)


@pytest.mark.parametrize("model", [*LISTS, "hold"])
def test_a_list_that_is_alone_on_a_site_leads_to_no_other(storage, admin_client, settings, model):
    save(storage, "a.txt")
    storage.hold("a.txt", reason="lawsuit")
    save(storage, "b.txt")
    storage.delete("b.txt")
    shown, site = apps.get_model("consistent_s3", model), AdminSite(name="lonely")
    site.register(shown, type(admin.site.get_model_admin(shown)))
    settings.ROOT_URLCONF = (path("lonely/", site.urls),)

    page = admin_client.get(reverse(f"lonely:consistent_s3_{model}_changelist")).content.decode()

    assert ("b.txt" in page, "a.txt" in page) == (model != "hold", model != "deletedobject")
    links = set(re.findall(r'href="/lonely/consistent_s3/([a-z]+)/', page))
    assert links <= {model}


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("kind", ["listing", "redis"])
def test_storages_without_rows_are_named_with_what_is_missing(configure, storage, admin_client, settings, model, kind):
    if kind == "redis":  # nothing listens there: a page must not ask it
        cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9"}
        settings.CACHES = {**settings.CACHES, "pointers": cache}
    configure("media", location="media", index=kind, **({"index_cache": "pointers"} if kind == "redis" else {}))
    save(storage, "a.txt")

    page = admin_client.get(url("changelist", model=model)).content.decode()

    assert "Not listed here" in page
    assert f"<strong>media</strong>: its index is “{kind}”, which keeps no rows" in page
    assert "manage.py consistent_s3 reindex" in page


def test_rows_that_nobody_keeps_up_to_date_are_not_shown(storage, configure, admin_client):
    save(storage, "a.txt")
    storage.delete("a.txt")
    pk = row("a.txt").pk
    configure(index="listing")

    for model in LISTS:
        page = admin_client.get(url("changelist", model=model)).content.decode()
        assert "a.txt" not in page
        assert "Not listed here" in page
    assert admin_client.get(url("change", pk)).status_code == 404


def test_a_storage_with_a_mistake_is_told_and_hides_no_other(storage, settings, admin_client):
    save(storage, "a.txt")
    backend = "consistent_s3.storage.ConsistentS3Storage"
    settings.STORAGES = {**settings.STORAGES, "broken": {"BACKEND": backend, "OPTIONS": {"indx": "database"}}}

    page = admin_client.get(url("changelist")).content.decode()

    assert "<strong>broken</strong>: " in page
    assert "a.txt" in page


@pytest.fixture
def evil(storage: Any) -> str:
    name = f"{SCRIPT}\"'.html"
    storage.write(name, ContentFile(SCRIPT.encode()), author=SCRIPT, comment=SCRIPT, original_name=SCRIPT)
    storage.write(name, ContentFile(b"2"), author=SCRIPT, comment=SCRIPT)
    storage.hold(name, reason=SCRIPT, author=SCRIPT)
    Document.objects.create(title=SCRIPT, file=name)
    return name


@pytest.mark.parametrize("is_deleted", [False, True], ids=["exists", "deleted"])
def test_nothing_that_was_typed_runs_on_any_page(storage, evil, admin_client, is_deleted):
    if is_deleted:
        storage.delete(evil, author=SCRIPT, comment=SCRIPT)
    pk, hold = row(evil).pk, storage.holds(evil)[0].pk
    pages = [
        *[url("changelist", model=model) for model in [*LISTS, "hold"]],
        f"{url('changelist', model='recentchange')}?person=%3Cscript%3Ealert(1)&after=%22%3E%3Cscript%3E",
        f"{url('changelist')}?q=%3Cscript%3E",
        url("change", pk),
        *[url(page, pk, "file") for page in ("versions_hold", "versions_erase")],
        *[url(page, pk, "file", 1) for page in ("version_restore", "version_copy", "version_hold")],
        url("versions_release", pk, "file", hold),
        url("release", hold, model="hold"),
        url("change", hold, model="hold"),
    ]

    answers = {page: admin_client.get(page) for page in pages}
    for action in ("delete", "undelete", "hold", "release"):
        answers[action] = admin_client.post(url("bulk", action), {"chosen": token(evil), "query": SCRIPT})

    for page, answer in answers.items():
        assert answer.status_code == 200, page
        assert "<script>alert" not in answer.content.decode(), page
        assert "&lt;script&gt;" in answer.content.decode() or "deletedobject" in page, page


def test_what_was_uploaded_is_only_ever_an_attachment(storage, evil, admin_client):
    answer = admin_client.get(url("version_download", row(evil).pk, "file", 1))

    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert admin_client.get(url("version_preview", row(evil).pk, "file", 1)).status_code == 404
