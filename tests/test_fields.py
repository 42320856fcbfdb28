"""What a row promises about its file: its name, and what Django does with it everywhere."""

from __future__ import annotations

import io
import json
import pickle

import pytest
from django.core.exceptions import FieldError
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db.models import F, Value
from django.db.models.functions import Concat
from PIL import Image

from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.testing import assert_requests
from tests.archive.models import Contract, Document, Picture, Plan, ProxyDocument, Report, SignedDocument

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_storage")]


def upload(name: str = "a.txt", content: bytes = b"one") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def image(width: int, height: int, name: str = "a.png") -> SimpleUploadedFile:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return SimpleUploadedFile(name, buffer.getvalue(), content_type="image/png")


def read(file: File) -> bytes:
    with file.open() as opened:
        return opened.read()


def numbers(file) -> list[int]:
    return [version.number for version in file.history()]


# Names


def test_an_upload_that_is_called_differently_becomes_the_next_version_of_the_rows_name():
    document = Document.objects.create(file=upload("first.txt", b"one"))

    document.file = upload("second.txt", b"two")
    document.save()

    document.refresh_from_db()
    assert document.file.name == "documents/first.txt"
    assert read(document.file) == b"two"
    assert [version.original_name for version in document.file.history()] == ["second.txt", "first.txt"]


@pytest.mark.parametrize(
    ("given", "remembered"),
    [
        pytest.param("Rechnung März.pdf", "Rechnung März.pdf", id="not cleaned as the name is"),
        pytest.param("dir/report.pdf", "report.pdf", id="without a directory"),
        pytest.param("C:\\temp\\report.pdf", "report.pdf", id="without a Windows directory"),
    ],
)
def test_the_name_of_the_upload_is_remembered(given, remembered):
    document = Document()

    document.file.save(given, ContentFile(b"one"))

    assert document.file.version.original_name == remembered


def test_rows_that_upload_the_same_name_get_files_of_their_own():
    documents = [Document.objects.create(file=upload("a.txt", content)) for content in (b"one", b"two", b"three")]

    assert [read(document.file) for document in documents] == [b"one", b"two", b"three"]
    assert len({document.file.name for document in documents}) == 3


@pytest.mark.parametrize("overwrite", [True, False])
def test_the_first_file_of_a_row_never_lands_on_a_stale_object(default_storage, overwrite):
    default_storage.file_overwrite = overwrite
    default_storage.write("documents/a.txt", ContentFile(b"nobody's"))

    document = Document.objects.create(file=upload("a.txt", b"mine"))

    assert document.file.name != "documents/a.txt"
    assert read(document.file) == b"mine"
    assert default_storage.open("documents/a.txt").read() == b"nobody's"


def test_the_first_file_of_a_row_never_takes_the_name_of_a_row_whose_object_is_gone(default_storage):
    bereft = Document.objects.create(file="documents/a.txt")

    document = Document.objects.create(file=upload("a.txt", b"mine"))

    assert document.file.name.startswith("documents/a_")
    assert read(document.file) == b"mine"
    with pytest.raises(VersionNotFoundError, match=r"^'documents/a\.txt' does not exist\.$"):
        read(bereft.file)


def test_a_file_saved_for_an_unsaved_row_saves_the_row():
    document = Document()

    document.file.save("a.txt", ContentFile(b"one"))

    assert read(Document.objects.get().file) == b"one"


def test_a_file_saved_with_save_false_leaves_the_row():
    document = Document.objects.create(title="old", file=upload())
    document.title = "new"

    document.file.save("b.txt", ContentFile(b"two"), save=False)

    assert Document.objects.get().title == "old"
    assert numbers(document.file) == [2, 1]


def test_a_file_is_saved_twice_on_one_instance_and_reads_as_it_was_saved_last():
    document = Document.objects.create(file=upload())
    document = Document.objects.get()
    file = document.file
    assert file.read() == b"one"

    file.save("b.txt", ContentFile(b"two"))

    assert file.open().read() == b"two"
    assert read(document.file) == b"two"


def test_what_was_assigned_and_then_replaced_before_it_was_saved_is_forgotten():
    assigned = upload("a.txt", b"one")
    file = Document(file=assigned).file

    file.save("b.txt", ContentFile(b"three"))

    assert (file.size, file.open().read()) == (5, b"three")
    assert assigned.read() == b"one"


def test_content_without_a_name_is_refused_and_nothing_is_written(default_storage):
    document = Document(file=ContentFile(b"one"))

    with pytest.raises(FieldError, match=r"^File for file must have the name attribute specified to be saved\."):
        document.save()

    assert default_storage.listdir("") == ([], [])


def test_a_name_that_is_too_long_is_cut_to_fit():
    plan = Plan.objects.create(file=upload("x" * 251 + ".txt", b"one"))

    plan.refresh_from_db()
    assert len(plan.file.name) == 255
    assert plan.file.name.startswith("plans/xxx")
    assert plan.file.name.endswith(".txt")
    assert read(plan.file) == b"one"


# Instances of every kind


def test_a_row_that_is_read_without_its_file_keeps_its_name():
    Document.objects.create(title="old", file=upload())

    for rows in (Document.objects.defer("file"), Document.objects.only("title")):
        document = rows.get()
        document.file = upload("b.txt", b"two")
        document.save()

    assert numbers(Document.objects.get().file) == [3, 2, 1]


def test_a_deferred_file_is_loaded_when_it_is_asked_for():
    Document.objects.create(file=upload("a.txt", b"one"))

    assert read(Document.objects.defer("file").get().file) == b"one"


def test_saving_other_fields_does_not_touch_the_file(default_storage):
    document = Document.objects.create(title="old", file=upload())

    document.title = "new"
    document.file = upload("b.txt", b"two")
    with assert_requests(default_storage):
        document.save(update_fields=["title"])

    assert numbers(Document.objects.get().file) == [1]


def test_an_expression_names_the_file(default_storage):
    Document.objects.create(file=upload())
    default_storage.write("documents/a.txt.bak", ContentFile(b"backup"))

    Document.objects.update(file=Concat(F("file"), Value(".bak")))

    document = Document.objects.get()
    assert read(document.file) == b"backup"
    document.title = Value("computed")
    document.save()
    document.refresh_from_db()
    assert (document.title, document.file.name) == ("computed", "documents/a.txt.bak")


def test_bulk_create_gives_each_row_a_file_of_its_own():
    Document.objects.bulk_create(Document(file=upload("a.txt", content)) for content in (b"one", b"two"))

    documents = Document.objects.order_by("pk")
    assert [read(document.file) for document in documents] == [b"one", b"two"]


def test_fixtures_carry_names_and_pins_and_no_bytes(default_storage, tmp_path):
    fixture = tmp_path / "rows.json"
    contract = Contract.objects.create(file=upload("a.txt", b"one"))
    contract.file.save("b.txt", ContentFile(b"two"))
    default_storage.write(contract.file.name, ContentFile(b"three"))

    with assert_requests(default_storage):
        call_command("dumpdata", "archive.contract", output=str(fixture))
        Contract.objects.all().delete()
        call_command("loaddata", str(fixture), verbosity=0)

    fields = json.loads(fixture.read_text())[0]["fields"]
    assert (fields["file"], fields["file_version"]) == ("contracts/a.txt", 2)
    assert read(Contract.objects.get().file) == b"two"


def test_a_proxy_and_its_model_have_one_file():
    Document.objects.create(file=upload("a.txt", b"one"))

    proxy = ProxyDocument.objects.get()
    proxy.file = upload("b.txt", b"two")
    proxy.save()

    assert numbers(Document.objects.get().file) == [2, 1]


def test_a_child_and_its_parent_have_one_file():
    SignedDocument.objects.create(signer="ann", file=upload("a.txt", b"one"))

    child = SignedDocument.objects.get()
    child.file = upload("b.txt", b"two")
    child.save()

    document = Document.objects.get()
    assert document.file.name == "documents/a.txt"
    assert numbers(document.file) == [2, 1]


def test_a_field_of_an_abstract_base_works_in_its_child():
    report = Report.objects.create(file=upload("a.txt", b"one"))

    report.file = upload("b.txt", b"two")
    report.save()

    report = Report.objects.get()
    assert (report.file.name, report.file_version) == ("records/a.txt", 2)


def test_an_instance_survives_pickling():
    contract = Contract.objects.create(file=upload("a.txt", b"one"))
    assert read(contract.file) == b"one"

    thawed = pickle.loads(pickle.dumps(contract))

    assert read(thawed.file) == b"one"
    assert (thawed.file.version.number, thawed.file.size) == (1, 3)
    thawed.file.save("b.txt", ContentFile(b"two"))
    assert numbers(Contract.objects.get().file) == [2, 1]


def test_a_row_that_its_manager_hides_keeps_its_name_and_is_seen_by_those_that_share_its_file():
    hidden = Report.objects.create(hidden=True, file=upload("a.txt", b"one"))
    twin = Report.objects.create(file=hidden.file.name)

    twin.file.save("b.txt", ContentFile(b"two"))
    hidden.file.save("c.txt", ContentFile(b"three"))

    hidden = Report._base_manager.get(pk=hidden.pk)
    assert (read(hidden.file), read(Report.objects.get().file)) == (b"three", b"two")
    assert hidden.file.name == "records/a.txt"


# Images


def test_an_image_is_measured_when_it_is_saved_replaced_and_restored():
    picture = Picture.objects.create(image=image(4, 3))
    first = (picture.width, picture.height)
    held = picture.image
    assert held.width == 4
    held.save("b.png", image(8, 6))
    second = (picture.width, picture.height)
    assert held.width == 8

    held.restore(1)

    assert (first, second) == ((4, 3), (8, 6))
    assert (held.width, held.height) == (4, 3)
    picture = Picture.objects.get()
    assert (picture.width, picture.height) == (4, 3)
    assert (picture.image.width, picture.image.height) == (4, 3)
    assert picture.image_version == 3
    assert picture.image.version.content_type == "image/png"


def test_an_image_that_is_deleted_leaves_no_measures():
    picture = Picture.objects.create(image=image(4, 3))
    held = picture.image
    assert held.width == 4

    held.delete()

    assert not held.__dict__.get("_dimensions_cache")
    picture = Picture.objects.get()
    assert (picture.width, picture.height, picture.image_version) == (None, None, None)


def test_an_image_that_is_named_is_measured_as_it_is_now_and_not_by_the_pin_of_another():
    small, large = (Picture.objects.create(image=image(size, size, f"{size}.png")) for size in (2, 9))
    large.image.save("again.png", image(7, 7))
    small.image.save("again.png", image(3, 3))
    small.image.save("again.png", image(3, 3))

    small.image = large.image.name

    assert (small.width, small.image_version) == (7, None)


@pytest.mark.django_db
def test_deleting_says_who_and_why(default_storage):
    document = Document(title="x")
    document.file.save("a.txt", ContentFile(b"x"))

    document.file.delete(author="ann", comment="by mistake")

    tombstone = next(default_storage.history("documents/a.txt"))
    assert (tombstone.tombstone, tombstone.author, tombstone.comment) == (True, "ann", "by mistake")
