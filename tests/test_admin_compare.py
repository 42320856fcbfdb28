"""Two versions beside each other, asked as a browser asks; nothing uploaded ever runs."""

from __future__ import annotations

import io
import random
import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from consistent_s3.comparing.comparison import DOCUMENT, LIMIT
from consistent_s3.history_admin import reading
from consistent_s3.testing import assert_requests, count_requests
from tests.archive.models import Contract
from tests.comparing.office_files import excel, packed, powerpoint
from tests.comparing.test_documents import CORE, office, pdf
from tests.test_admin import staff

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


def contract_of(*contents: bytes, name: str = "lease.txt", said: str = "") -> Contract:
    """Return a row whose file has had these contents."""
    contract = Contract(title="Lease")
    for content in contents:
        contract.file.save(name, ContentFile(content), author=said or "ann", comment=said)
    return contract


def url(page: str, contract: Any, *args: Any) -> str:
    return reverse(f"admin:archive_contract_{page}", args=[contract.pk, "file", *args])


def main(client: Client, address: str) -> str:
    """Return what a page shows, its menus and messages left out."""
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode().partition('id="content-main"')[2]


def compared(client: Client, contract: Contract, query: str = "") -> str:
    return main(client, url("versions_compare", contract) + query)


def picture(form: str = "PNG", size: tuple[int, int] = (30, 20)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "red").save(written, form)
    return written.getvalue()


def test_history_page_offers_the_newest_two_for_comparison(default_storage, admin_client):
    page = main(admin_client, url("versions", contract_of(b"1", b"2", b"3")))

    assert 'name="old" value="2" checked' in page
    assert 'name="new" value="3" checked' in page
    assert page.count("checked") == 2
    assert "Compare from version 1" in page
    assert f'action="{url("versions_compare", Contract.objects.get())}"' in page


def test_a_deletion_cannot_be_chosen(default_storage, admin_client):
    contract = contract_of(b"1", b"2")
    default_storage.delete(contract.file.name)

    page = main(admin_client, url("versions", contract))

    assert 'value="3"' not in page
    assert 'name="old" value="1" checked' in page
    assert 'name="new" value="2" checked' in page
    assert admin_client.get(url("versions_compare", contract) + "?old=1&new=3").status_code == 404


def test_a_file_with_one_version_offers_no_comparison(default_storage, admin_client):
    contract = contract_of(b"1")

    assert "Compare" not in main(admin_client, url("versions", contract))
    assert admin_client.get(url("versions_compare", contract)).status_code == 302


@pytest.mark.parametrize("query", ["", "?old=2&new=3", "?old=3&new=2", "?old=x&new=3", "?old=0&new=-1", "?old=2"])
def test_the_older_version_stands_first_and_the_newest_two_are_the_default(default_storage, admin_client, query):
    page = compared(admin_client, contract_of(b"a\n", b"b\n", b"c\n"), query)

    assert page.index("Version 2 (older)") < page.index("Version 3 (newer)")
    assert "<del>b</del>" in page
    assert "<ins>c</ins>" in page


def test_text_is_shown_by_lines_words_and_signs(default_storage, admin_client):
    page = compared(admin_client, contract_of(b"Title\nRent: 900 a month\n", b"Title\nRent: 950 a month\nSigned\n"))

    assert "1 line removed (−), 2 lines added (+)" in page
    assert "Rent: <del>900</del> a month" in page
    assert "Rent: <ins>950</ins> a month" in page
    assert 'data-sign="−"' in page
    assert 'data-sign="+"' in page
    assert '<span class="visually-hidden">Removed: </span>' in page


def test_lines_left_out_are_counted(default_storage, admin_client):
    same = b"".join(b"%d\n" % number for number in range(100))

    page = compared(admin_client, contract_of(same + b"old", same + b"new"))

    assert "97 lines are the same" in page


def test_json_is_shown_by_keys(default_storage, admin_client):
    page = compared(admin_client, contract_of(b'{"a": {"b": 1}}', b'{"a": {"b": 2}, "c": 3}', name="a.json"))

    assert "2 values differ" in page
    assert "<code>a.b</code>" in page
    assert "<del>1</del>" in page
    assert "+ added" in page


def test_tables_are_shown_by_rows(default_storage, admin_client):
    page = compared(admin_client, contract_of(b"id,price\n1,9\n2,5\n", b"id,price\n1,8\n2,5\n", name="a.csv"))

    assert "1 row differs, 1 is the same" in page
    assert '<th scope="col">price</th>' in page
    assert "<del>9</del> <ins>8</ins>" in page


def test_pictures_stand_side_by_side_with_their_dimensions(default_storage, admin_client):
    contract = contract_of(picture(), picture("JPEG", (5, 6)), name="a.png")

    page = compared(admin_client, contract)

    assert "30 × 20" in page
    assert "5 × 6" in page
    assert f'<img src="{url("version_preview", contract, 1)}" alt="The picture of version 1">' in page
    assert "data-consistent-s3-slider" in page


def test_the_same_bytes_are_said_to_be_the_same(default_storage, admin_client):
    assert "every byte of both versions is equal" in compared(admin_client, contract_of(b"1", b"1"))


def test_other_bytes_are_compared_by_size_type_and_checksum(default_storage, admin_client):
    contract = contract_of(b"\0\1", b"\0\2\3", name="a.bin")

    page = compared(admin_client, contract)

    assert "cannot be compared here" in page
    assert "application/octet-stream" in page
    assert contract.file.version.checksum in page


def test_a_changed_cell_is_shown_in_its_row(default_storage, admin_client):
    row = '<row><c t="inlineStr"><is><t>Rent</t></is></c><c><v>%d</v></c></row>'

    page = compared(admin_client, contract_of(excel(row % 900), excel(row % 950), name="a.xlsx"))

    assert "Text taken out of the files: 1 line removed (−), 1 line added (+)" in page
    assert "Rent | <del>900</del>" in page
    assert "Rent | <ins>950</ins>" in page
    assert "SHA-256" not in page


NO_TEXT = "there is no text that could be compared"


@pytest.mark.parametrize(
    "contents",
    [
        (pdf(1), pdf(2)),
        (
            office(core=CORE % "One", **{"ppt/presentation.xml": ""}),
            office(core=CORE % "Two", **{"ppt/presentation.xml": ""}),
        ),
        (powerpoint("Text"), powerpoint("")),
        (packed({"content.xml": "<broken"}), packed({"content.xml": "<broken", "a": "b"})),
    ],
    ids=["PDF", "presentations", "a text that is gone", "broken"],
)
def test_documents_without_text_are_said_to_have_none(default_storage, admin_client, contents):
    contract = contract_of(*contents, name="a.pptx")

    page = compared(admin_client, contract)

    assert NO_TEXT in page
    assert contract.file.version.checksum in page
    assert "Only the " not in page
    assert "cannot be compared here" not in page


def test_a_document_of_some_megabytes_is_compared(default_storage, admin_client):
    row = "<row><c><v>%d</v></c></row>"
    contents = [excel(row % rent, strings="", pad=random.Random(rent).randbytes(2 * LIMIT)) for rent in (900, 950)]

    page = compared(admin_client, contract_of(*contents, name="a.xlsx"))

    assert "<ins>950</ins>" in page
    assert "Only the " not in page


def test_a_document_that_is_too_large_names_its_limit_and_is_not_read_on(default_storage, admin_client):
    contract = contract_of(*(b"PK\x03\x04" + bytes(DOCUMENT + n) for n in range(2)), name="a.docx")

    with count_requests(default_storage) as log:
        page = compared(admin_client, contract)

    assert "only looked into up to 16.0\xa0MB;" in page
    assert log.counts["GET"] == 4


def test_what_was_cut_says_so(default_storage, admin_client):
    page = compared(admin_client, contract_of(b"a\n" * LIMIT, b"b\n" * LIMIT))

    assert "Only the first 1.0\xa0MB of each version are compared." in page
    assert "some changes or parts of lines are left out" in page


@pytest.mark.parametrize(("length", "ranged"), [(10, 2), (20 * 1024**2, 4)], ids=["small", "large"])
def test_a_comparison_asks_for_no_more_than_it_looks_at(default_storage, admin_client, length, ranged):
    contract = contract_of(b"a" * length, b"b" * length)

    with count_requests(default_storage) as log:
        compared(admin_client, contract, "?old=1&new=2")

    assert log.counts["GET"] == ranged
    assert "" not in log.ranges or length < LIMIT
    assert log.counts["LIST"] == 2
    assert not log.counts["PUT"]


def test_comparison_asks_the_same_for_two_and_for_many_versions(default_storage, admin_client):
    contract = contract_of(b"1", b"2")
    address = url("versions_compare", contract)
    with count_requests(default_storage) as few:
        admin_client.get(address)
    for number in range(30):
        default_storage.write(contract.file.name, ContentFile(b"%d" % number))

    with assert_requests(default_storage, **few.counts):
        admin_client.get(address)


def test_versions_that_are_not_there_are_404(default_storage, admin_client):
    assert admin_client.get(url("versions_compare", contract_of(b"1", b"2")) + "?old=1&new=9").status_code == 404


def test_a_store_that_fails_while_bytes_are_read_is_said(default_storage, admin_client):
    contract = contract_of(b"1", b"2")
    client = default_storage.make_object_store().client()
    keys = [version.key for version in default_storage.history(contract.file.name)]

    def gone(**_: Any) -> None:
        client.meta.events.unregister("before-call.s3.GetObject", gone)
        default_storage.make_object_store().delete(keys)

    client.meta.events.register("before-call.s3.GetObject", gone)
    answer = admin_client.get(url("versions_compare", contract))

    assert answer.status_code == 200
    assert "The store does not answer" in answer.content.decode()


HOSTILE = {
    "html": ("page.html", SCRIPT.encode()),
    "svg": ("a.svg", f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'.encode()),
    "text": ("a.txt", SCRIPT.encode()),
    "json": ("a.json", b'{"<script>alert(1)</script>": "<script>alert(1)</script>"}'),
    "csv": ("a.csv", b"id,<script>alert(1)</script>\n1,<script>alert(1)</script>\n"),
    "name": ("<script>alert(1)<script>.txt", b"1"),
    "binary": ("<script>alert(1)<script>.bin", b"\0<script>alert(1)</script>"),
}


@pytest.mark.parametrize(("name", "content"), [pytest.param(*pair, id=word) for word, pair in HOSTILE.items()])
def test_nothing_that_was_uploaded_or_typed_is_markup(default_storage, admin_client, name, content):
    contract = contract_of(content, content.replace(b"1", b"2"), content.replace(b"1", b"3"), name=name, said=SCRIPT)

    for query in ("?old=1&new=2", "?old=2&new=3", "?old=1&new=1"):
        page = compared(admin_client, contract, query)
        assert "<script" not in page
        assert "alert(" in page


@pytest.mark.parametrize("name", ["page.html", "a.svg", "a.txt", "a.pdf", "a.png"])
def test_what_is_no_picture_has_no_preview(default_storage, admin_client, name):
    contract = contract_of(f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'.encode(), name=name)

    assert admin_client.get(url("version_preview", contract, 1)).status_code == 404


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_preview_is_what_its_bytes_are_whatever_it_is_called(default_storage, admin_client, form):
    data = picture(form)
    contract = contract_of(data, name="page.html")

    answer = admin_client.get(url("version_preview", contract, 1))

    assert answer.content == data
    assert answer["Content-Type"] == f"image/{form.lower()}"
    assert answer["Content-Disposition"] == 'inline; filename="page.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Cache-Control"].startswith("private, no-store")


@pytest.mark.parametrize(("page", "kind"), [("version_download", "attachment"), ("version_preview", "inline")])
def test_control_characters_in_a_name_are_not_sent(default_storage, admin_client, page, kind):
    contract = contract_of(picture())
    default_storage.write(contract.file.name, ContentFile(picture()), original_name="red.png\n")

    answer = admin_client.get(url(page, contract, 2))

    assert answer["Content-Disposition"] == f'{kind}; filename="red.png"'


def test_a_picture_that_is_too_large_is_not_even_fetched(default_storage, admin_client, monkeypatch):
    contract = contract_of(picture(), picture(size=(31, 20)), name="a.png")
    monkeypatch.setattr(reading, "PREVIEW", 10)

    with assert_requests(default_storage, LIST=1, HEAD=1):
        assert admin_client.get(url("version_preview", contract, 1)).status_code == 404


def test_a_picture_that_unpacks_to_too_much_has_no_preview(
    settings, storage_options, default_storage, admin_client, monkeypatch
):
    options = {**storage_options, "gzip": True, "gzip_content_types": ("image/bmp",)}
    backend = settings.STORAGES["default"]["BACKEND"]
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    contract = contract_of(picture("BMP", (200, 200)), name="a.bmp")
    assert contract.file.version.size < 1_000
    monkeypatch.setattr(reading, "PREVIEW", 1_000)

    assert admin_client.get(url("version_preview", contract, 1)).status_code == 404


@pytest.mark.parametrize("number", [2, 9])
def test_a_preview_of_a_deletion_or_of_nothing_is_404(default_storage, admin_client, number):
    contract = contract_of(picture(), name="a.png")
    default_storage.delete(contract.file.name)

    assert admin_client.get(url("version_preview", contract, number)).status_code == 404


def test_no_inline_script_or_style_is_on_the_page(default_storage, admin_client):
    page = compared(admin_client, contract_of(picture(), picture(size=(9, 9)), name="a.png"))

    assert "<script" not in page
    assert not re.search(r"\sstyle=|\son\w+=", page)


@pytest.mark.parametrize(
    ("rights", "status"), [([], 403), (["delete_contract", "add_contract"], 403), (["view_contract"], 200)]
)
@pytest.mark.parametrize("page", ["versions_compare", "version_preview"])
def test_who_may_see_a_row_may_compare_its_versions(default_storage, rights, status, page):
    contract = contract_of(picture(), picture(size=(9, 9)), name="a.png")
    arguments = [1] if page == "version_preview" else []

    assert staff(*rights).get(url(page, contract, *arguments)).status_code == status


@pytest.mark.parametrize("page", ["versions_compare", "version_preview", "version_download"])
def test_a_project_may_keep_the_bytes_from_who_may_see_the_history(default_storage, admin_client, monkeypatch, page):
    from django.contrib import admin

    contract = contract_of(picture(), picture(size=(9, 9)), name="a.png")
    model_admin = admin.site.get_model_admin(Contract)
    monkeypatch.setattr(model_admin, "has_download_version_permission", lambda request, obj: False, raising=False)
    arguments = [] if page == "versions_compare" else [1]

    history = main(admin_client, url("versions", contract))

    assert admin_client.get(url(page, contract, *arguments)).status_code == 403
    assert "Download" not in history
    assert "Compare" not in history


def test_a_small_preview_is_small_and_as_harmless(default_storage, admin_client):
    contract = contract_of(picture("PNG", (400, 200)), name="page.html")

    answer = admin_client.get(url("version_preview", contract, 1) + "?small")

    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.size == (128, 64)
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_history_and_form_show_pictures_lazily_without_asking_for_any(default_storage, admin_client):
    contract = contract_of(picture(), picture(size=(9, 9)), name="a.png")

    with assert_requests(default_storage, LIST=1, HEAD=2):
        page = main(admin_client, url("versions", contract))
    form = admin_client.get(reverse("admin:archive_contract_change", args=[contract.pk])).content.decode()

    for number in (1, 2):
        assert f'src="{url("version_preview", contract, number)}?small" loading="lazy"' in page
        assert f'alt="Picture in version {number}"' in page
    assert f'src="{url("version_preview", contract, 2)}?small" loading="lazy"' in form


def test_what_is_no_picture_by_name_has_a_label_and_no_preview(default_storage, admin_client):
    contract = contract_of(b"x", name="a.pdf")

    page = main(admin_client, url("versions", contract))

    assert ">PDF<" in page
    assert "<img" not in page


def test_what_changed_in_a_version_is_compared_with_the_one_before_that_has_bytes(default_storage, admin_client):
    contract = contract_of(b"one", b"two")
    default_storage.delete(contract.file.name)
    contract.file.save("a.txt", ContentFile(b"three"))

    page = main(admin_client, url("versions", contract))
    compared_pages = [compared(admin_client, contract, f"?new={number}") for number in (4, 2)]
    first = admin_client.get(url("versions_compare", contract) + "?new=1", follow=True).content.decode()

    assert page.count("What changed<span") == 2, "the deletion and the first have nothing to compare"
    assert "<del>two</del>" in compared_pages[0]
    assert "<del>one</del>" in compared_pages[1]
    assert "There is no version before it that could be compared." in first
