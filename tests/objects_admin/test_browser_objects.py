"""The lists of all files as a person sees them: real headless Chromium with a strict Content-Security-Policy.

With `CONSISTENT_S3_SCREENSHOTS=directory` each page is kept as a picture, to be looked at.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile

from tests.archive.models import Contract
from tests.objects_admin.conftest import row, save, url
from tests.test_browser import CHROMIUM, LOOKS, browser, is_wide, keep, open_page  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def default_storage(storage: Any, configure: Any) -> Any:
    """Return a storage with files that were saved, replaced, deleted and held, beside one without rows."""
    configure("media", location="media", index="listing")
    contract = Contract(title="Lease of the north wing")
    contract.file.save("lease.txt", ContentFile(b"Rent: 900\n"), author="ann", comment="Signed by both parties")
    contract.file.save("lease.txt", ContentFile(b"Rent: 950\n" * 200), author="bob", comment="Corrected the rent")
    for number, name in enumerate(["prices/march.csv", "prices/april.csv", "plans/" + "garden-" * 20 + ".pdf"], 1):
        save(storage, name, b"x" * 3000 * number, b"y" * 90_000 * number, author="ann", comment="New prices")
    save(storage, "old/terms.pdf", author="eve")
    storage.delete("prices/march.csv", author="eve", comment="Wrong month")
    storage.delete("old/terms.pdf", author="bob")
    storage.hold("prices/april.csv", reason="Audit of 2026", author="ann")
    return storage


def press(page: Any, button: str) -> None:
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name=button).click()


def test_a_clerk_finds_what_was_deleted_by_mistake_and_brings_it_back(open_page, default_storage):  # noqa: F811
    page = open_page("/admin/")
    with page.expect_navigation(wait_until="load"):
        page.locator("#content-main").get_by_role("link", name="Deleted files").first.click()

    page.get_by_label("Name contains").fill("march")
    press(page, "Find")
    press(page, "Undelete prices/march.csv")

    assert "Undeleted 1 file." in page.inner_text("main, #main")
    assert page.get_by_label("Name contains").input_value() == "march"
    assert default_storage.open("prices/march.csv").read() == b"y" * 90_000
    assert default_storage.current("prices/march.csv").author == "admin"


def test_many_are_chosen_and_undeleted_with_the_keyboard(open_page, default_storage):  # noqa: F811
    page = open_page(url("changelist", model="deletedobject"))

    for name in ("prices/march.csv", "old/terms.pdf"):
        page.get_by_label(f"Choose {name}").focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Undelete the chosen files").focus()
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")

    assert "Undeleted 2 files." in page.inner_text("main, #main")
    assert "No file is deleted." in page.inner_text("main, #main")


def test_files_are_chosen_from_the_list_and_deleted_after_a_question(open_page, default_storage):  # noqa: F811
    page = open_page(url("changelist"))

    page.get_by_role("row", name="prices/april.csv").get_by_role("checkbox").check()
    page.get_by_label("Action:").first.select_option(label="Delete, so that it can be undone…")
    press(page, "Go" if page.get_by_role("button", name="Go").count() else "Run")
    keep(page, "objects-bulk")
    press(page, "Delete them")

    assert "Deleted 1 file." in page.inner_text("main, #main")
    assert not default_storage.exists("prices/april.csv")


@LOOKS
def test_lists_of_all_files_fit_the_admin_in_every_look(open_page, default_storage, look, options):  # noqa: F811
    page = open_page(url("changelist"), **options)
    base = page.url.partition("/admin/")[0]
    hold = default_storage.holds("prices/april.csv")[0].pk
    pages = {
        "list": url("changelist"),
        "deleted": url("changelist", model="deletedobject"),
        "changes": url("changelist", model="recentchange"),
        "object": url("change", row("contracts/lease.txt").pk),
        "object-deleted": url("change", row("prices/march.csv").pk),
        "holds": url("changelist", model="hold"),
        "hold": url("change", hold, model="hold"),
        "release": url("release", hold, model="hold"),
    }

    wide = set()
    for name, address in pages.items():
        page.goto(base + address, wait_until="load")
        keep(page, f"objects-{name}-{look}")
        if is_wide(page):
            wide.add(name)

    assert wide - {"list", "holds"} == set(), "a page must not scroll sideways, but for Django's own lists"
