"""`version_field`: the row says which version it has, in every way in which Django saves and loads rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models, transaction
from django.test.utils import isolate_apps

from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.fields import VersionedFileField
from consistent_s3.testing import assert_requests
from tests.archive.models import Contract, Document, ProxyContract, Report, SignedContract

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_storage")]


class OopsError(Exception):
    """What makes a transaction roll back."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """Run a block in a transaction, or in a savepoint of one, that is rolled back at its end."""
    with suppress(OopsError), transaction.atomic():
        yield
        raise OopsError


def upload(name: str = "a.txt", content: bytes = b"one") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def read(file) -> bytes:
    with file.open() as opened:
        return opened.read()


@pytest.fixture
def contract(default_storage) -> Contract:
    """Return a row that is pinned to version 1 of 2."""
    contract = Contract.objects.create(title="Lease", file=upload("a.txt", b"one"))
    default_storage.write(contract.file.name, ContentFile(b"newer"))
    return Contract.objects.get()


def test_a_pinned_row_reads_its_version_whatever_is_newest(contract):
    version, size, content = contract.file.version, contract.file.size, read(contract.file)

    assert (version.number, size, content) == (1, 3, b"one")


def test_the_url_of_a_pinned_row_is_that_of_its_version(contract):
    pinned = contract.file.version.key

    contract.file.storage.write(contract.file.name, ContentFile(b"newest"))

    assert pinned in contract.file.url


def test_the_url_of_a_pinned_row_whose_version_was_erased_answers_404(contract):
    contract.file.storage.erase(contract.file.name)
    contract.file.storage.write(contract.file.name, ContentFile(b"another"))

    answer = urllib3.request("GET", contract.file.url)

    assert answer.status == 404


def test_a_row_without_a_pin_follows_what_is_newest(contract):
    Contract.objects.update(file_version=None)

    assert read(Contract.objects.get().file) == b"newer"


def test_each_save_moves_the_pin(contract):
    contract.file = upload("b.txt", b"three")
    contract.save()

    contract = Contract.objects.get()
    assert contract.file_version == 3
    assert read(contract.file) == b"three"


def test_restoring_moves_the_pin(contract):
    contract.file.restore(1)

    assert Contract.objects.get().file_version == 3


def test_restoring_with_save_false_moves_only_the_instances_pin(contract):
    contract.file.restore(1, save=False)

    assert contract.file_version == 3
    assert Contract.objects.get().file_version == 1


def test_a_pinned_row_whose_version_is_gone_says_so_and_shows_no_other(contract):
    Contract.objects.update(file_version=9)

    with pytest.raises(VersionNotFoundError) as caught:
        read(Contract.objects.get().file)

    assert str(caught.value) == (
        "'contracts/a.txt' has no version 9: it was never written, or it was collected. See its history."
    )


# Transactions


def test_a_transaction_that_is_rolled_back_leaves_row_and_file_as_they_were(contract):
    with rolled_back():
        contract.file = upload("b.txt", b"two")
        contract.save()

    contract = Contract.objects.get()
    assert contract.file.version.number == 1
    assert read(contract.file) == b"one"


def test_a_savepoint_that_is_rolled_back_leaves_the_row_as_it_was_before_it(contract):
    with transaction.atomic():
        contract.file = upload("b.txt", b"kept")
        contract.save()
        with rolled_back():
            contract.file = upload("c.txt", b"lost")
            contract.save()

    contract = Contract.objects.get()
    assert contract.file.version.number == 3
    assert read(contract.file) == b"kept"
    assert [version.number for version in contract.file.history()] == [4, 3, 2, 1]


@pytest.mark.parametrize("what", ["delete", "restore", "clear"])
def test_whatever_was_done_to_the_file_is_undone_with_the_transaction(contract, what):
    with rolled_back():
        if what == "delete":
            contract.file.delete()
        elif what == "restore":
            contract.file.restore(2)
        else:
            contract.file = ""
            contract.save()

    contract = Contract.objects.get()
    assert contract.file.version.number == 1
    assert read(contract.file) == b"one"


def test_a_file_that_was_deleted_in_a_transaction_that_was_rolled_back_stays_the_rows_own(contract):
    with rolled_back():
        contract.file.delete()

    other = Contract.objects.create(file=upload("a.txt", b"other"))

    contract = Contract.objects.get(pk=contract.pk)
    assert other.file.name != contract.file.name
    assert (read(contract.file), read(other.file)) == (b"one", b"other")


def test_a_row_replaced_after_a_rollback_gets_a_number_above_the_one_rolled_back(contract):
    with rolled_back():
        contract.file.save("b.txt", ContentFile(b"lost"))
    contract = Contract.objects.get()

    contract.file.save("c.txt", ContentFile(b"four"))

    assert Contract.objects.get().file_version == 4
    assert read(Contract.objects.get().file) == b"four"


# Taking a file off


@pytest.mark.parametrize("nothing", [None, ""], ids=["None", "empty"])
def test_a_row_without_a_file_has_no_pin(contract, nothing):
    contract.file = nothing
    contract.save()

    assert Contract.objects.get().file_version is None


def test_a_row_that_is_created_without_a_file_has_no_pin():
    contract = Contract.objects.create(file_version=3)

    assert Contract.objects.get().file_version is None
    assert contract.file_version is None


def test_deleting_takes_the_pin_off(contract):
    contract.file.delete(save=False)
    pin = contract.file_version
    contract.save()

    assert pin is None
    assert Contract.objects.get().file_version is None


# Every way to save


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(["file"], id="without the pin"),
        pytest.param(["file", "file_version"], id="with the pin"),
        pytest.param(["file_version", "file", "title"], id="in any order"),
    ],
)
@pytest.mark.parametrize("model", [Contract, ProxyContract], ids=lambda model: model.__name__)
def test_update_fields_saves_the_pin_with_the_file(contract, model, fields):
    row = model.objects.get()
    row.file = upload("b.txt", b"three")

    row.save(update_fields=fields)

    assert Contract.objects.get().file_version == 3
    assert read(Contract.objects.get().file) == b"three"


@pytest.mark.parametrize("model", [SignedContract, Report], ids=["child", "of an abstract base"])
def test_update_fields_saves_the_pin_of_models_that_inherit(model):
    row = model.objects.create(file=upload("a.txt", b"one"))
    row.file = upload("b.txt", b"two")

    row.save(update_fields=["file"])

    row = model.objects.get()
    assert row.file_version == 2
    assert read(row.file) == b"two"


def test_update_fields_without_the_file_leaves_pin_and_file(contract):
    contract.file = upload("b.txt", b"three")
    contract.title = "Sublease"

    contract.save(update_fields=["title"])

    assert Contract.objects.get().file_version == 1


def test_update_fields_with_the_file_alone_takes_the_pin_off_with_it(contract):
    contract.file = ""

    contract.save(update_fields=["file"])

    assert Contract.objects.get().file_version is None


def test_the_pin_is_saved_in_the_database_that_the_row_is_saved_in(contract, django_assert_num_queries):
    contract.file = upload("b.txt", b"three")

    with django_assert_num_queries(4):  # the row's name, whether another has it, the file, the pin
        contract.save(using="default", update_fields=["file"])

    assert Contract.objects.get().file_version == 3


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(lambda: Contract.objects.defer("file_version"), id="the pin"),
        pytest.param(lambda: Contract.objects.defer("file"), id="the file"),
        pytest.param(lambda: Contract.objects.only("title"), id="both"),
    ],
)
def test_a_row_that_is_read_in_part_reads_its_version_and_saves_its_pin(contract, rows):
    row = rows().get()
    before = read(row.file)

    row = rows().get()
    row.file = upload("b.txt", b"three")
    row.save()

    assert before == b"one"
    assert Contract.objects.get().file_version == 3


def test_bulk_create_pins_each_row():
    Contract.objects.bulk_create(Contract(file=upload("a.txt", content)) for content in (b"one", b"two"))

    assert [(row.file_version, read(row.file)) for row in Contract.objects.order_by("pk")] == [(1, b"one"), (1, b"two")]


@pytest.mark.parametrize("fields", [None, ["file", "file_version"], ["file"]], ids=str)
def test_refreshing_brings_the_pin_of_the_database_back(contract, fields):
    contract.file.save("b.txt", ContentFile(b"three"), save=False)
    Contract.objects.update(file_version=2)

    contract.refresh_from_db(fields=fields)

    assert contract.file_version == 2
    assert read(contract.file) == b"newer"


def test_an_old_row_that_is_restored_has_its_old_bytes(contract):
    old = Contract.objects.values("pk", "title", "file", "file_version").get()
    contract.file.save("b.txt", ContentFile(b"three"))

    Contract(**old).save()

    assert read(Contract.objects.get().file) == b"one"


# The pin belongs to the file


def test_a_row_that_is_given_another_name_starts_without_a_pin(contract, default_storage):
    default_storage.write("elsewhere.txt", ContentFile(b"other"))

    contract.file = "elsewhere.txt"
    contract.save()

    contract = Contract.objects.get()
    assert contract.file_version is None
    assert read(contract.file) == b"other"


def test_a_row_that_is_given_its_own_name_keeps_its_pin(contract):
    contract.file = contract.file.name
    contract.save()

    assert Contract.objects.get().file_version == 1


def test_a_row_that_is_given_another_rows_file_has_the_same_version(contract):
    other = Contract.objects.create(file=upload("b.txt", b"other"))
    assert contract.file_version == 1

    other.file = contract.file
    other.save()

    other = Contract.objects.get(pk=other.pk)
    assert other.file_version == 1
    assert read(other.file) == b"one"


def test_a_pinned_row_that_is_given_the_file_of_an_unpinned_one_follows_it(contract):
    document = Document.objects.create(file=upload("d.txt", b"document"))

    contract.file = document.file
    contract.save()

    contract = Contract.objects.get()
    assert contract.file_version is None
    assert read(contract.file) == b"document"


def test_a_row_loads_with_one_query_and_no_request(contract, default_storage, django_assert_num_queries):
    with django_assert_num_queries(1), assert_requests(default_storage):
        loaded = Contract.objects.get()

    assert (loaded.file.name, loaded.file_version) == ("contracts/a.txt", 1)


@isolate_apps("tests.archive")
def test_models_that_are_dropped_leave_no_listener_behind(contract):
    """Migrations make and drop models by the hundred; the fields of those must not listen to the others' saves."""

    class Dropped(models.Model):
        file = VersionedFileField(version_field="file_version")
        file_version = models.PositiveBigIntegerField(null=True)

        class Meta:
            app_label = "archive"

    assert not any(
        Dropped._meta.get_field("file") is getattr(receiver, "__self__", None)
        for receiver in models.signals.post_save._live_receivers(Contract)[0]
    )
