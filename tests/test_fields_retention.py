"""What a field says may be collected of its files."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest
from django.core.checks import Error
from django.db import models
from django.test.utils import isolate_apps

from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.fields import VersionedFileField, VersionedImageField
from consistent_s3.storage import ConsistentS3Storage
from tests.archive.models import Contract, Document

HINT = "It takes the rules of a storage's retention that say which versions stay, such as keep_last."
STORAGE = ConsistentS3Storage(bucket_name="files", index="listing")


def on_a_model(field: VersionedFileField) -> VersionedFileField:
    class Note(models.Model):
        file = field

        class Meta:
            app_label = "archive"

    return Note._meta.get_field("file")


@isolate_apps("tests.archive")
@pytest.mark.parametrize("kind", [VersionedFileField, VersionedImageField])
def test_field_has_the_policy_that_it_was_given(kind):
    field = on_a_model(kind(storage=STORAGE, retention={"keep_last": 3, "keep_for": timedelta(days=1)}))

    assert field.policy() == RetentionPolicy(keep_last=3, keep_for=timedelta(days=1))
    assert [message for message in field.check() if message.id == "consistent_s3.E005"] == []


@isolate_apps("tests.archive")
def test_field_without_retention_leaves_it_to_the_storage():
    field = on_a_model(VersionedFileField(storage=STORAGE))

    assert field.policy() is None
    assert field.check() == []


@isolate_apps("tests.archive")
@pytest.mark.parametrize(
    ("retention", "sentence"),
    [
        ({"keep_lst": 1}, "archive.Note.file retention= has no option 'keep_lst'. Did you mean 'keep_last'?"),
        (
            {"keep_last": 0},
            "archive.Note.file retention=: keep_last is 0. Keep at least 1, or a name would be left nothing.",
        ),
        (7, "archive.Note.file retention= is 7. Use a dictionary such as {'keep_last': 10}."),
        (
            {"grace": 1},
            (
                "archive.Note.file retention= has 'grace', which counts for a whole storage. Set it in the "
                "storage's own OPTIONS['retention']; here belong: archive_after, archive_class, keep_for, keep_last, "
                "tiers, tombstone_for."
            ),
        ),
        (
            {"archive_after": 1, "archive_class": "GLACIER"},
            (
                "archive.Note.file retention= has archive_after, which needs index 'database', and the index is "
                "'listing': moving an object to another storage class changes the only time that a listing shows, so "
                "nobody could say how old it is. Leave archive_after and archive_class out, or use a lifecycle rule of "
                "the bucket."
            ),
        ),
    ],
    ids=repr,
)
def test_bad_retention_is_found_by_a_check(retention, sentence):
    field = on_a_model(VersionedFileField(storage=STORAGE, retention=retention))

    assert field.check() == [Error(sentence, hint=HINT, obj=field, id="consistent_s3.E005")]


@pytest.mark.parametrize(
    ("pinned_by", "sentence"),
    [
        (["archive.Gone"], "App 'archive' doesn't have a 'Gone' model."),
        (["gone"], "'gone' is no label of a model."),
        (["archive.Plan"], "Plan has no field named 'file_version'"),
    ],
    ids=repr,
)
def test_bad_pinned_by_is_found_by_a_check(monkeypatch, pinned_by, sentence):
    field = Contract._meta.get_field("file")
    monkeypatch.setattr(field, "pinned_by", pinned_by)

    assert field.check() == [
        Error(
            f"pinned_by={pinned_by!r} does not say which rows point to versions: {sentence}",
            hint='It takes models as ["app.Model"], with columns called like this field and its version_field.',
            obj=field,
            id="consistent_s3.E006",
        )
    ]


def test_a_field_that_is_not_pinned_cannot_have_a_history_that_pins(monkeypatch):
    field = Document._meta.get_field("file")
    monkeypatch.setattr(field, "pinned_by", ["archive.ContractRecord"])

    assert [message.msg.partition(": ")[2] for message in field.check()] == ["The field has no version_field."]


def test_rows_of_a_history_may_pin(monkeypatch):
    field = Contract._meta.get_field("file")
    monkeypatch.setattr(field, "pinned_by", ["archive.ContractRecord"])

    assert field.check() == []


@isolate_apps("tests.archive")
def test_field_may_archive_with_the_database():
    storage = ConsistentS3Storage(bucket_name="files", index="database")
    field = on_a_model(VersionedFileField(storage=storage, retention={"archive_after": 1, "archive_class": "GLACIER"}))

    assert field.check() == []


@isolate_apps("tests.archive")
def test_storage_that_keeps_no_versions_is_said_once(settings):
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}
    field = on_a_model(VersionedFileField(retention={"keep_lst": 1}))

    assert [message.id for message in field.check()] == ["consistent_s3.E001"]


def test_retention_is_no_part_of_migrations():
    """It says nothing of the table, and is asked of the models as they are now."""
    _, _, _, options = VersionedFileField(
        upload_to="a", retention={"keep_last": 1}, pinned_by=["archive.Gone"]
    ).deconstruct()

    assert options == {"upload_to": "a"}


@isolate_apps("tests.archive")
def test_children_of_an_abstract_model_inherit_it():
    class Base(models.Model):
        file = VersionedFileField(storage=STORAGE, retention={"keep_last": 3})

        class Meta:
            abstract = True

    class Child(Base):
        class Meta:
            app_label = "archive"

    assert Child._meta.get_field("file").policy() == RetentionPolicy(keep_last=3)
    assert copy.deepcopy(Child._meta.get_field("file")).retention == {"keep_last": 3}
