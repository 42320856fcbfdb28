"""The file's input as a person uses it: real headless Chromium and a strict Content-Security-Policy.

With `CONSISTENT_S3_SCREENSHOTS=directory` each page is kept as a picture, to be looked at.
"""

# ruff: noqa: F811 - a fixture is imported, and then named by who needs it

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse

from consistent_s3.testing.aging import age
from tests.archive.models import Attachment, Contract, Document, Picture
from tests.test_accessibility import known, violations
from tests.test_browser import (
    CHROMIUM,
    LOOKS,
    browser,  # noqa: F401
    follow,
    is_wide,
    keep,
    open_page,  # noqa: F401
    picture,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),
]

PRICES = b"article,price\nchair,%d\ntable,200\n"


@pytest.fixture
def contract(default_storage: Any) -> Contract:
    contract = Contract(title="Price list")
    contract.file.save("prices.csv", ContentFile(PRICES % 40), author="ann", comment="Prices of January")
    contract.file.save("prices.csv", ContentFile(PRICES % 45), author="bob", comment="Chairs are dearer in March")
    return contract


def somebody_replaces(contract: Contract) -> None:
    other = Contract.objects.get(pk=contract.pk)
    other.file.save("prices.csv", ContentFile(PRICES % 47), author="eve", comment="Chairs once more")


def press(page: Any, button: str) -> None:
    """Press a button and wait for the page that answers."""
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name=button, exact=True).click()


def of_ours(page: Any) -> list[Any]:
    """Return what axe finds that is not Django's own."""
    return [found for found in violations(page) if known(*found[:2]) is None]


def mine(content: bytes = PRICES % 50, name: str = "mine.csv") -> dict[str, Any]:
    return {"name": name, "mimeType": "text/csv", "buffer": content}


@LOOKS
def test_who_was_second_looks_and_replaces_anyway_without_typing_again(open_page, contract, look, options):
    page = open_page(reverse("admin:archive_contract_change", args=[contract.pk]), **options)
    keep(page, f"widget-{look}")
    page.get_by_label("Title").fill("Price list of the shop")
    page.set_input_files("input[type=file]", mine())
    page.get_by_label("What changed?").fill("New prices of chairs")
    somebody_replaces(contract)

    press(page, "Save")
    keep(page, f"warned-{look}")
    told = page.locator(".errorlist").inner_text()
    wide, barriers = is_wide(page), of_ours(page)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Compare versions 2 and 3").click()
    compared = opened.value
    compared.wait_for_load_state("load")
    words = compared.locator("ins").all_inner_texts()
    compared.close()
    page.get_by_label("Replace version 3 anyway").check()
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")

    assert "You are replacing version 2, but version 3 is current (by eve, " in told
    assert "47" in " ".join(words)
    assert not wide
    assert barriers == []
    contract.refresh_from_db()
    assert (contract.title, contract.file.read()) == ("Price list of the shop", PRICES % 50)
    assert (contract.file.version.number, contract.file.version.comment) == (4, "New prices of chairs")


def test_who_changes_their_mind_unticks_what_was_chosen(open_page, contract):
    page = open_page(reverse("admin:archive_contract_change", args=[contract.pk]))
    page.get_by_label("Title").fill("Price list of the shop")
    page.set_input_files("input[type=file]", mine())
    somebody_replaces(contract)

    press(page, "Save")
    page.get_by_label("Use the file that you chose: mine.csv").uncheck()
    press(page, "Save")

    contract.refresh_from_db()
    assert (contract.title, contract.file.read()) == ("Price list of the shop", PRICES % 47)


@LOOKS
def test_a_file_is_replaced_inline_and_its_version_before_brought_back(open_page, default_storage, look, options):
    document = Document(title="Tender")
    document.file.save("tender.txt", ContentFile(b"All of it"), author="ann", comment="As sent")
    for name, content in (("plan.png", picture("navy", (480, 300))), ("prices.csv", PRICES % 40)):
        attachment = Attachment(document=document)
        attachment.file.save(name, ContentFile(content), author="ann", comment="As sent")
    page = open_page(reverse("admin:archive_document_change", args=[document.pk]), **options)

    page.set_input_files("input[name=attachment_set-1-file]", mine())
    page.locator("[name=attachment_set-1-file-comment]").fill("New prices")
    keep(page, f"inline-{look}")
    barriers = of_ours(page)
    drawn = page.locator(".consistent-s3-thumbnail")
    drawn.scroll_into_view_if_needed()
    drawn.evaluate("one => one.decode()")
    shown = drawn.evaluate("one => one.naturalWidth")
    press(page, "Save and continue editing")
    follow(page, "History of attachments/prices.csv")
    keep(page, f"inline-history-{look}")
    follow(page, "Restore version 1")
    page.get_by_label("Comment").fill("Those were right")
    press(page, "Restore this version")
    follow(page, "Tender")

    assert shown == 128
    assert barriers == []
    attachment.refresh_from_db()
    assert attachment.file.read() == PRICES % 40
    said = [(version.author, version.comment) for version in attachment.file.history()]
    assert said == [("admin", "Those were right"), ("admin", "New prices"), ("ann", "As sent")]
    assert page.url.endswith(reverse("admin:archive_document_change", args=[document.pk]))


def test_a_missing_comment_is_asked_for_and_the_file_is_still_there(open_page, default_storage, monkeypatch):
    from django.contrib import admin

    monkeypatch.setattr(admin.site.get_model_admin(Picture), "versions_comment_required", True, raising=False)
    page = open_page(reverse("admin:archive_picture_add"))

    page.set_input_files("input[type=file]", mine(picture("crimson", (480, 300)), "garden.png"))
    press(page, "Save")
    keep(page, "comment-required")
    page.get_by_label("What changed?").fill("How the garden looks now")
    press(page, "Save and continue editing")
    keep(page, "picture")

    version = Picture.objects.get().image.version
    assert (version.original_name, version.comment) == ("garden.png", "How the garden looks now")
    assert (
        page.get_by_alt_text("Picture in version 1").evaluate("one => one.decode().then(() => one.naturalWidth)") == 128
    )


@pytest.mark.parametrize("width", [1280, 400])
def test_pages_turn_with_the_script(open_page, contract, settings, width):
    settings.LANGUAGE_CODE = "ar"
    path = reverse("admin:archive_contract_change", args=[contract.pk])
    page = open_page(path, width=width)
    page.set_input_files("input[type=file]", mine())
    somebody_replaces(contract)
    with page.expect_navigation(wait_until="load"):
        page.locator("[name=_save]").click()
    keep(page, f"warned-rtl-{width}")

    kind, facts = (
        page.locator(".consistent-s3-kind").bounding_box(),
        page.locator(".consistent-s3-version").bounding_box(),
    )
    assert kind["x"] > facts["x"]
    assert not is_wide(page)


def test_a_clerk_who_uploaded_the_wrong_file_yesterday_gets_back_the_one_before(
    open_page,
    contract,
    default_storage,
):
    contract.file.save("holiday.csv", ContentFile(b"beach\n"), author="clerk", comment="")
    age(default_storage, default_storage.timing.grace)
    page = open_page(reverse("admin:archive_contract_changelist"))

    follow(page, "Price list")
    follow(page, "History of contracts/prices.csv")
    keep(page, "clerk-history")
    follow(page, "Restore version 2")
    keep(page, "clerk-restore")
    page.get_by_label("Comment").fill("Wrong file yesterday")
    press(page, "Restore this version")

    contract.refresh_from_db()
    assert contract.file.read() == PRICES % 45
    keep(page, "clerk-restored")


def test_a_clerk_finds_who_changed_the_price_list_and_what(open_page, contract):
    somebody_replaces(contract)
    page = open_page(reverse("admin:archive_contract_change", args=[contract.pk]))

    follow(page, "History of contracts/prices.csv")
    page.get_by_label("Comment contains").fill("march")
    press(page, "Find")
    row = page.locator(".consistent-s3-versions tbody tr")
    keep(page, "clerk-found")
    told = row.inner_text()
    follow(page, "What changed in version 2")
    keep(page, "clerk-compared")

    assert "bob" in told
    assert "Chairs are dearer in March" in told
    assert page.locator("del").all_inner_texts() == ["40"]
    assert page.locator("ins").all_inner_texts() == ["45"]
