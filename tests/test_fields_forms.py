"""Forms: uploading, replacing, clearing and refusing a file as with any other `FileField`."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import ClearableFileInput, modelform_factory

from consistent_s3.fields import VersionedFileField
from consistent_s3.forms import VersionedFormField
from consistent_s3.testing import assert_requests
from consistent_s3.widgets import VersionedFileInput
from tests.archive.models import Contract, Document, Picture, Plan
from tests.test_fields import image

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_storage")]

ContractForm = modelform_factory(Contract, fields=["title", "file"])


def upload(name: str = "a.txt", content: bytes = b"one") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.fixture
def contract(default_storage) -> Contract:
    return Contract.objects.create(title="Lease", file=upload("a.txt", b"one"))


def test_a_form_uses_the_widget_that_can_clear(contract):
    form = ContractForm(instance=contract)

    html = form.as_p()

    assert isinstance(form.fields["file"].widget, ClearableFileInput)
    assert 'name="file-clear"' in html
    assert "contracts/a.txt" in html


def test_a_form_creates_a_row_with_its_file():
    form = ContractForm({"title": "Lease"}, {"file": upload("a.txt", b"one")})

    contract = form.save()

    contract.refresh_from_db()
    assert (contract.file.name, contract.file_version) == ("contracts/a.txt", 1)


def test_a_form_replaces_the_file_under_its_name(contract):
    form = ContractForm({"title": "Lease"}, {"file": upload("b.txt", b"two")}, instance=contract)

    form.save()

    contract.refresh_from_db()
    assert (contract.file.name, contract.file_version) == ("contracts/a.txt", 2)
    assert contract.file.version.original_name == "b.txt"


def test_a_form_without_an_upload_leaves_the_file(contract, default_storage):
    form = ContractForm({"title": "Sublease"}, {}, instance=contract)

    with assert_requests(default_storage):
        form.save()

    contract.refresh_from_db()
    assert (contract.title, contract.file.name, contract.file_version) == ("Sublease", "contracts/a.txt", 1)


def test_a_form_clears_the_file_and_its_versions_stay(contract, default_storage):
    form = ContractForm({"title": "Lease", "file-clear": "on"}, {}, instance=contract)

    form.save()

    contract.refresh_from_db()
    assert not contract.file
    assert contract.file_version is None
    assert default_storage.open("contracts/a.txt").read() == b"one"


def test_a_form_that_clears_and_uploads_at_once_says_so_and_changes_nothing(contract):
    form = ContractForm({"title": "Lease", "file-clear": "on"}, {"file": upload("b.txt")}, instance=contract)

    valid = form.is_valid()

    assert not valid
    assert form.errors == {"file": ["Please either submit a file or check the clear checkbox, not both."]}
    assert Contract.objects.get().file_version == 1


def test_a_form_that_is_refused_writes_nothing(contract, default_storage):
    form = ContractForm({"title": "x" * 101}, {"file": upload("b.txt", b"two")}, instance=contract)

    with assert_requests(default_storage):
        valid = form.is_valid()

    assert not valid
    assert [version.number for version in Contract.objects.get().file.history()] == [1]


def test_a_form_refuses_a_name_that_is_longer_than_the_field():
    field = VersionedFileField(name="file", max_length=30).formfield()

    with pytest.raises(ValidationError) as caught:
        field.clean(upload("a" * 27 + ".txt"))

    assert caught.value.messages == ["Ensure this filename has at most 30 characters (it has 31)."]


def test_a_form_takes_a_name_of_255_characters():
    form = modelform_factory(Document, fields=["file"])({}, {"file": upload("a" * 251 + ".txt")})

    document = form.save()

    assert len(document.file.name) == len("documents/") + 255
    assert Document.objects.get().file.version.original_name.endswith("a.txt")


def test_a_form_takes_a_file_that_is_called_like_another_rows_in_a_unique_field():
    form_class = modelform_factory(Plan, fields=["file"])
    first = form_class({}, {"file": upload("a.txt", b"one")}).save()

    second = form_class({}, {"file": upload("a.txt", b"two")}).save()

    assert first.file.name != second.file.name
    assert (first.file.open().read(), second.file.open().read()) == (b"one", b"two")


def test_a_form_refuses_what_is_no_image():
    form = modelform_factory(Picture, fields=["image"])({}, {"image": upload("a.png", b"not an image")})

    valid = form.is_valid()

    assert not valid
    assert form.errors == {
        "image": ["Upload a valid image. The file you uploaded was either not an image or a corrupted image."]
    }


def test_a_form_measures_an_image():
    form = modelform_factory(Picture, fields=["image"])({}, {"image": image(5, 2)})

    form.save()

    picture = Picture.objects.get()
    assert (picture.width, picture.height, picture.image_version) == (5, 2, 1)


def test_a_form_of_a_row_whose_file_was_deleted_can_still_be_shown(contract, default_storage):
    default_storage.write("contracts/a.txt", ContentFile(b"two"))
    default_storage.delete("contracts/a.txt")

    html = ContractForm(instance=Contract.objects.get()).as_p()

    assert "contracts/a.txt" in html


def test_a_form_of_a_row_whose_file_was_erased_can_still_be_shown(contract, default_storage):
    default_storage.erase("contracts/a.txt")

    html = ContractForm(instance=Contract.objects.get()).as_p()

    assert "contracts/a.txt" in html


def test_a_form_of_a_project_may_use_the_admins_input(contract, default_storage):
    contract.file.save("b.txt", ContentFile(b"two"), author="ann")
    form_class = modelform_factory(
        Contract,
        fields=["file"],
        field_classes={"file": VersionedFormField},
        widgets={"file": VersionedFileInput},
    )
    form = form_class(instance=contract)

    html = form.as_p()

    assert "Version 2, 3\xa0bytes, by ann" in html
    assert re.search(r'<a href="https?://[^"]*a\.txt[^"]*">contracts/a\.txt</a>', html)
