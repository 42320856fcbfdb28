"""No two rows write to one object: copies, keys that are taken, and every way in which a row gets its key."""

from __future__ import annotations

import copy
import uuid

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction

from consistent_s3.testing import assert_requests
from tests.archive.models import Contract, Document, Letter, Page, Picture, SignedDocument, Ticket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_storage")]


def upload(name: str = "a.txt", content: bytes = b"one") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def read(file) -> bytes:
    with file.open() as opened:
        return opened.read()


def copied(instance):
    """Return the copy of a row that Django's documentation tells one to make."""
    twin = copy.copy(type(instance).objects.get(pk=instance.pk))
    twin.pk = twin.id = None
    twin._state.adding = True
    twin.save()
    return type(instance).objects.get(pk=twin.pk)


# Copies


def test_a_copy_shares_its_file_until_it_is_replaced(default_storage):
    original = Document.objects.create(file=upload("a.txt", b"one"))

    with assert_requests(default_storage):
        twin = copied(original)

    assert twin.pk != original.pk
    assert twin.file.name == original.file.name
    assert read(twin.file) == b"one"


@pytest.mark.parametrize("replaced_first", ["the copy", "the original"])
def test_whichever_of_two_sharing_rows_is_replaced_gets_a_file_of_its_own(replaced_first):
    rows = [Document.objects.create(file=upload("a.txt", b"one"))]
    rows.append(copied(rows[0]))
    first, second = reversed(rows) if replaced_first == "the copy" else rows

    first.file = upload("b.txt", b"first")
    first.save()
    between = read(Document.objects.get(pk=second.pk).file)
    second.file = upload("c.txt", b"second")
    second.save()

    first.refresh_from_db()
    second.refresh_from_db()
    assert between == b"one"
    assert (read(first.file), read(second.file)) == (b"first", b"second")
    assert first.file.name.startswith("documents/b")
    assert second.file.name == "documents/a.txt"


def test_a_copy_that_is_replaced_before_it_is_saved_gets_a_file_of_its_own():
    original = Document.objects.create(file=upload("a.txt", b"one"))
    twin = Document.objects.get()
    twin.pk = None

    twin.file = upload("a.txt", b"two")
    twin.save()

    original.refresh_from_db()
    assert (read(original.file), read(twin.file)) == (b"one", b"two")


def test_a_copy_of_a_child_row_gets_a_file_of_its_own():
    original = SignedDocument.objects.create(file=upload("a.txt", b"one"))
    twin = copied(original)

    twin.file = upload("b.txt", b"two")
    twin.save()

    original.refresh_from_db()
    assert (read(original.file), read(twin.file)) == (b"one", b"two")


def test_deleting_a_shared_file_leaves_the_others_alone(default_storage):
    original = Document.objects.create(file=upload("a.txt", b"one"))
    twin = copied(original)

    twin.file.delete()
    left = read(Document.objects.get(pk=original.pk).file)
    original.file.delete()

    assert left == b"one"
    assert not default_storage.exists("documents/a.txt")


def test_restoring_a_shared_file_gives_the_row_one_of_its_own():
    original = Contract.objects.create(file=upload("a.txt", b"one"))
    original.file.save("b.txt", ContentFile(b"two"))
    twin = copied(original)

    version = twin.file.restore(1, author="ann", comment="the first was right")

    twin.refresh_from_db()
    original.refresh_from_db()
    assert (read(twin.file), read(original.file)) == (b"one", b"two")
    assert twin.file.name == version.name != original.file.name
    assert (version.number, version.author, version.comment) == (1, "ann", "the first was right")
    assert (version.original_name, twin.file_version) == ("a.txt", 1)
    assert [found.number for found in original.file.history()] == [2, 1]


def test_restoring_a_shared_image_measures_it():
    from tests.test_fields import image

    original = Picture.objects.create(image=image(4, 3))
    original.image.save("b.png", image(8, 6))
    twin = copied(original)

    twin.image.restore(1)

    twin.refresh_from_db()
    assert (twin.width, twin.height, twin.image_version) == (4, 3, 1)
    assert read(original.image) != read(twin.image)


def test_a_row_that_was_given_anothers_file_shares_it():
    original = Document.objects.create(file=upload("a.txt", b"one"))
    other = Document.objects.create()
    other.file = original.file
    other.save()

    other.file.save("b.txt", ContentFile(b"two"))

    original.refresh_from_db()
    assert (read(original.file), read(other.file)) == (b"one", b"two")


# Keys


def test_a_row_that_is_saved_by_its_key_keeps_its_name():
    document = Document.objects.create(file=upload("a.txt", b"one"))

    Document(pk=document.pk, file=upload("b.txt", b"two")).save()

    document.refresh_from_db()
    assert document.file.name == "documents/a.txt"
    assert read(document.file) == b"two"


def test_a_row_that_is_saved_by_a_free_key_gets_a_new_file():
    Document(pk=77, file=upload("a.txt", b"one")).save()

    assert read(Document.objects.get(pk=77).file) == b"one"


@pytest.mark.parametrize(
    "insert",
    [
        pytest.param(lambda row: Document.objects.create(pk=row.pk, file=row.file), id="create"),
        pytest.param(lambda row: row.save(force_insert=True), id="force_insert"),
        pytest.param(lambda row: Document.objects.bulk_create([row]), id="bulk_create"),
    ],
)
def test_an_insertion_that_fails_leaves_the_row_with_the_same_key_alone(insert):
    document = Document.objects.create(file=upload("a.txt", b"one"))
    doubled = Document(pk=document.pk, file=upload("a.txt", b"two"))

    with pytest.raises(IntegrityError), transaction.atomic():
        insert(doubled)

    document.refresh_from_db()
    assert read(document.file) == b"one"
    assert [version.number for version in document.file.history()] == [1]


def test_a_row_that_was_inserted_with_a_name_keeps_it_when_it_is_replaced(default_storage):
    default_storage.write("documents/a.txt", ContentFile(b"one"))
    document = Document.objects.create(file="documents/a.txt")

    document.file.save("b.txt", ContentFile(b"two"))

    assert document.file.name == "documents/a.txt"


def test_rows_with_uuid_keys_get_and_keep_files_of_their_own():
    first = Letter.objects.create(file=upload("a.txt", b"one"))
    second = Letter.objects.create(file=upload("a.txt", b"two"))

    first.file = upload("b.txt", b"three")
    first.save()

    letters = Letter.objects.in_bulk()
    assert read(letters[first.pk].file) == b"three"
    assert read(letters[second.pk].file) == b"two"
    assert letters[first.pk].file.name == "letters/a.txt"


@pytest.mark.parametrize("model", [Letter, Ticket], ids=["from Python", "from the database"])
def test_a_new_instance_with_a_taken_key_that_has_a_default_never_touches_that_rows_file(model):
    """Django inserts such an instance, and never updates."""
    row = model.objects.create(pk="12345678123456781234" if model is Ticket else uuid.uuid4(), file=upload())
    doubled = model(pk=row.pk)

    doubled.file.save("a.txt", ContentFile(b"two"), save=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        doubled.save()

    assert read(model.objects.get().file) == b"one"


def test_a_copy_with_a_uuid_key_gets_a_file_of_its_own():
    original = Letter.objects.create(file=upload("a.txt", b"one"))
    twin = Letter.objects.get()
    twin.pk = uuid.uuid4()
    twin._state.adding = True

    twin.file = upload("a.txt", b"two")
    twin.save()

    assert read(Letter.objects.get(pk=original.pk).file) == b"one"
    assert read(Letter.objects.get(pk=twin.pk).file) == b"two"


def test_a_row_whose_key_comes_from_the_database_gets_and_keeps_a_file():
    Ticket.objects.create(file=upload("a.txt", b"one"))

    ticket = Ticket.objects.get(code="first")
    ticket.file.save("b.txt", ContentFile(b"two"))

    assert ticket.file.name == "tickets/a.txt"
    assert read(Ticket.objects.get().file) == b"two"


def test_rows_with_composite_keys_get_and_keep_files_of_their_own():
    first = Page.objects.create(book=1, sheet=1, file=upload("a.txt", b"one"))
    second = Page.objects.create(book=1, sheet=2, file=upload("a.txt", b"two"))

    first.file.save("b.txt", ContentFile(b"three"))

    assert read(Page.objects.get(pk=(1, 1)).file) == b"three"
    assert read(Page.objects.get(pk=(1, 2)).file) == b"two"
    assert first.file.name == "pages/a.txt" != second.file.name


class EverythingIsWrittenToThePrimary:
    def db_for_write(self, model, **hints):
        return "default"


def test_sharing_is_asked_of_the_primary_and_not_of_a_replica(settings):
    document = Document.objects.create(file=upload("a.txt", b"one"))
    document._state.db = "replica"  # as if read from there; no such database exists, so asking it fails
    settings.DATABASE_ROUTERS = [EverythingIsWrittenToThePrimary()]

    document.file.save("b.txt", ContentFile(b"two"), save=False)
    document.save()

    assert read(Document.objects.using("default").get().file) == b"two"


@pytest.mark.django_db
def test_a_new_row_never_gets_the_history_of_a_deleted_file(default_storage):
    first = Document(title="A")
    first.file.save("a.txt", ContentFile(b"of A"))
    first.file.delete()

    second = Document(title="B")
    second.file.save("a.txt", ContentFile(b"of B"))

    assert second.file.name != "documents/a.txt"
    assert [version.number for version in second.file.history()] == [1]
    assert default_storage.open("documents/a.txt", version=1).read() == b"of A"
