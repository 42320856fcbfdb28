"""What a row's file reads, expects, restores and deletes."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template import Context, Template
from django.utils import timezone

from consistent_s3.core.errors import ConflictError, VersionNotFoundError
from consistent_s3.fields import VersionedFieldFile
from consistent_s3.testing import assert_requests
from tests.archive.models import Document

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_storage")]


def upload(name: str = "a.txt", content: bytes = b"one") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def read(file: File) -> bytes:
    with file.open() as opened:
        return opened.read()


def numbers(file) -> list[int]:
    return [version.number for version in file.history()]


# Reading


def test_a_file_has_a_version_a_history_and_a_past():
    document = Document.objects.create(file=upload("a.txt", b"one"))
    before = document.file.version.modified
    document.file.save("b.txt", ContentFile(b"two!"), author="ann", comment="corrected")

    version = document.file.version

    assert (version.number, version.author, version.comment, version.size) == (2, "ann", "corrected", 4)
    assert numbers(document.file) == [2, 1]
    assert [version.number for version in document.file.history(before=2)] == [1]
    assert document.file.at(1).read() == b"one"
    assert document.file.as_of(timezone.now()).read() == b"two!"
    with pytest.raises(VersionNotFoundError, match=r"^No version of 'documents/a\.txt' is left from "):
        document.file.as_of(before - timezone.timedelta(seconds=1))


@pytest.mark.parametrize("what", ["version", "history", "at", "as_of", "restore", "open", "url", "size", "read"])
def test_a_row_without_a_file_says_so(what):
    calls = {"at": [1], "as_of": [timezone.now()], "restore": [1], "history": [], "open": [], "read": []}
    document = Document.objects.create()

    with pytest.raises(ValueError, match=r"^The 'file' attribute has no file associated with it\.$"):
        getattr(document.file, what)(*calls.get(what, []))


@pytest.mark.parametrize("mode", ["wb", "w", "xb", "ab", "r+b"])
def test_a_rows_file_is_not_opened_for_writing(mode):
    document = Document.objects.create(file=upload())

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole sentence is compared
        document.file.open(mode)

    assert str(caught.value) == (
        f"The file of a row cannot be opened with mode {mode!r}: the row would not know its new version. "
        "Use save() instead."
    )


def test_a_file_opens_as_text():
    document = Document.objects.create(file=upload("a.txt", "Käse\n".encode()))

    with document.file.open("r") as opened:
        lines = list(opened)

    assert lines == ["Käse\n"]


def test_an_open_file_is_opened_in_another_mode():
    document = Document.objects.create(file=upload("a.txt", b"one"))
    document.file.open("rb")

    text = document.file.open("r").read()

    assert text == "one"


def test_opening_again_goes_back_to_the_beginning_of_the_same_version():
    document = Document.objects.create(file=upload("a.txt", b"one"))
    document = Document.objects.get()
    document.file.open()
    assert document.file.read(2) == b"on"
    document.file.storage.write(document.file.name, ContentFile(b"two"))

    again = document.file.open().read()

    assert again == b"one"


def test_opening_after_closing_reads_what_is_newest_then():
    Document.objects.create(file=upload("a.txt", b"one"))
    document = Document.objects.get()
    assert read(document.file) == b"one"
    document.file.storage.write(document.file.name, ContentFile(b"two"))

    again = read(document.file)

    assert again == b"two"


def test_a_file_is_read_without_being_opened():
    Document.objects.create(file=upload("a.txt", b"one"))

    content = Document.objects.get().file.read()

    assert content == b"one"


def test_an_upload_that_is_not_saved_yet_is_read_and_measured_without_a_request(default_storage):
    document = Document(file=upload("a.txt", b"four"))

    with assert_requests(default_storage):
        size, content = document.file.size, document.file.open().read()

    assert (size, content) == (4, b"four")


def test_url_and_size_are_those_of_the_current_version():
    document = Document.objects.create(file=upload("a.txt", b"one"))
    document.file.save("b.txt", ContentFile(b"three"))

    assert document.file.version.key in document.file.url
    assert document.file.size == 5


@pytest.mark.parametrize("method", ["save", "delete", "restore", "open"])
def test_templates_are_told_what_changes_a_file(method):
    assert getattr(VersionedFieldFile, method).alters_data


def test_a_template_can_read_but_not_change_a_file():
    document = Document.objects.create(file=upload("a.txt", b"one"))
    template = Template("{{ d.file.version.number }}|{{ d.file.delete }}|{{ d.file.save }}|{{ d.file.restore }}|")

    rendered = template.render(Context({"d": document}))

    assert rendered == "1||||"
    assert numbers(document.file) == [1]


def test_an_opened_file_can_be_dropped():
    document = Document.objects.create(file=upload("a.txt", b"one"))
    assert document.file.read() == b"one"

    del document.file.file

    assert document.file.read() == b"one"


# Expecting a version


def test_a_replacement_of_the_expected_version_succeeds_and_of_another_fails():
    document = Document.objects.create(file=upload())
    document.file.save("b.txt", ContentFile(b"two"), expected=1)

    with pytest.raises(ConflictError) as caught:
        document.file.save("c.txt", ContentFile(b"three"), expected=1)

    assert str(caught.value) == (
        "Version 2 of 'documents/a.txt' is current, but 1 was expected. Read version 2 and decide again."
    )
    assert read(Document.objects.get().file) == b"two"


def test_a_writer_who_expects_a_version_is_told_when_the_row_lost_its_file(default_storage):
    document = Document.objects.create(file=upload())
    Document.objects.update(file="")

    with pytest.raises(ConflictError) as caught:
        document.file.save("b.txt", ContentFile(b"two"), expected=1)

    assert str(caught.value) == "The row has no file, but version 1 was expected. Read the row and decide again."
    assert (caught.value.name, caught.value.expected, caught.value.actual) == ("", 1, 0)


def test_a_writer_who_expects_a_version_of_a_shared_file_is_told_when_it_is_another():
    document = Document.objects.create(file=upload())
    twin = Document.objects.create(file=document.file.name)

    twin.file.save("b.txt", ContentFile(b"two"), expected=1)
    document = Document.objects.get(pk=document.pk)
    another = Document.objects.create(file=document.file.name)
    with pytest.raises(ConflictError) as caught:
        another.file.save("c.txt", ContentFile(b"three"), expected=7)

    assert read(twin.file) == b"two"
    assert str(caught.value) == (
        "Version 1 of 'documents/a.txt' is current, but version 7 was expected. Read the row and decide again."
    )


def test_a_first_file_may_expect_that_there_is_none():
    document = Document.objects.create()

    document.file.save("a.txt", ContentFile(b"one"), expected=0)

    assert numbers(document.file) == [1]


# Restoring and deleting


def test_restoring_makes_the_bytes_of_an_earlier_version_the_newest():
    document = Document.objects.create(title="old", file=upload("a.txt", b"one"))
    document.file.save("b.txt", ContentFile(b"two"))
    assert read(document.file) == b"two"

    version = document.file.restore(1, author="ann", comment="the first was right")

    assert (version.number, version.author, version.comment) == (3, "ann", "the first was right")
    assert version.original_name == "a.txt"
    assert read(document.file) == b"one"
    assert numbers(document.file) == [3, 2, 1]


def test_restoring_saves_the_row_unless_told_otherwise():
    document = Document.objects.create(title="old", file=upload())
    document.title = "new"

    document.file.restore(1, save=False)
    kept = Document.objects.get().title
    document.file.restore(1)
    saved = Document.objects.get().title

    assert (kept, saved) == ("old", "new")


def test_restoring_what_is_not_there_changes_nothing():
    document = Document.objects.create(file=upload())

    with pytest.raises(VersionNotFoundError) as caught:
        document.file.restore(7)

    assert str(caught.value) == (
        "'documents/a.txt' has no version 7: it was never written, or it was collected. See its history."
    )
    assert numbers(document.file) == [1]


def test_deleting_takes_the_file_off_the_row_and_can_be_undone(default_storage):
    Document.objects.create(file=upload("a.txt", b"one"))
    document = Document.objects.get()
    opened = document.file.open().file

    document.file.delete()

    assert opened.closed
    assert not document.file
    assert Document.objects.get().file.name == ""
    assert not default_storage.exists("documents/a.txt")
    default_storage.undelete("documents/a.txt")
    assert default_storage.open("documents/a.txt").read() == b"one"


def test_deleting_with_save_false_leaves_the_row():
    document = Document.objects.create(file=upload())

    document.file.delete(save=False)

    assert Document.objects.get().file.name == "documents/a.txt"


def test_deleting_no_file_sends_nothing(default_storage):
    document = Document.objects.create()

    with assert_requests(default_storage):
        document.file.delete()

    assert not document.file


@pytest.mark.parametrize("nothing", [None, ""], ids=["None", "empty"])
def test_a_row_whose_file_is_taken_off_has_none_and_the_versions_stay(default_storage, nothing):
    document = Document.objects.create(file=upload("a.txt", b"one"))

    document.file = nothing
    document.save()

    assert not Document.objects.get().file
    assert default_storage.open("documents/a.txt").read() == b"one"
