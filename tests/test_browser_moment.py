"""Restoring rows to a moment, and deleting one version, as a person does it in real Chromium with a strict policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone

from consistent_s3.testing.aging import age
from tests.archive.models import Contract
from tests.test_browser import browser, follow, keep, open_page, pytestmark  # noqa: F401 - fixtures and marks

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def zone(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"


@pytest.fixture
def office(default_storage: Any) -> Any:
    """Return a storage with contracts of which a bad import replaced one and made another, two hours ago."""
    for title in ("Lease of the north wing", "Price list"):
        row = Contract(title=title)
        row.file.save(f"{title.lower().replace(' ', '-')}.txt", ContentFile(f"{title}, signed".encode()), author="ann")
    age(default_storage, 60 * HOUR)
    Contract.objects.get(title="Price list").file.save("x.txt", ContentFile(b"0,0,0\n" * 300), author="import")
    row = Contract(title="Imported by mistake")
    row.file.save("imported.txt", ContentFile(b"0,0,0\n"), author="import")
    age(default_storage, 30 * HOUR)
    return default_storage


LOOKS = [
    pytest.param("light", {}, id="light"),
    pytest.param("dark", {"dark": True}, id="dark"),
    pytest.param("narrow", {"width": 400}, id="narrow"),
]


@pytest.mark.parametrize(("look", "options"), LOOKS)
def test_a_clerk_brings_the_files_of_all_rows_back_to_before_a_bad_import(open_page, office, look, options):  # noqa: F811
    moment = timezone.localtime(office.archive.clock.now() - 60 * HOUR)
    page = open_page(reverse("admin:archive_contract_changelist"), **options)

    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option(label="Restore files as they were at…")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Run" if page.get_by_role("button", name="Run").count() else "Go").click()
    page.get_by_label("Day").fill(f"{moment:%Y-%m-%d}")
    page.get_by_label("Time").fill(f"{moment:%H:%M:%S}")
    page.get_by_label("Comment").fill("Undo the import")
    keep(page, f"moment-{look}")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Show what would happen").click()
    keep(page, f"moment-plan-{look}")

    plan = page.inner_text("#content-main")
    assert "This would happen to 2 files. Nothing was changed so far." in plan
    assert "Version 1 comes back" in plan
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Do this").click()

    keep(page, f"moment-done-{look}")
    assert "Restored 1 file. Deleted 1 file." in page.inner_text("main, #main")
    assert Contract.objects.get(title="Price list").file.read() == b"Price list, signed"
    assert not office.exists("contracts/imported.txt")


@pytest.mark.parametrize(("look", "options"), LOOKS)
def test_one_version_is_deleted_after_its_number_was_typed(open_page, office, look, options):  # noqa: F811
    row = Contract.objects.get(title="Price list")
    page = open_page(reverse("admin:archive_contract_versions", args=[row.pk, "file"]), **options)

    follow(page, "Delete version 1 for good")
    keep(page, f"delete-version-{look}")
    page.get_by_label("Number of the version").fill("1")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Delete it for good").click()

    assert "Deleted version 1 of “contracts/price-list.txt” for good" in page.inner_text("main, #main")
    assert [version.number for version in office.history("contracts/price-list.txt")] == [2]
