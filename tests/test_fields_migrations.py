"""What migrations write is what they read, and nothing changes by itself."""

from __future__ import annotations

import posixpath

import pytest
from django.apps import apps
from django.core.files.storage import storages
from django.db import models
from django.db.migrations import AddField, CreateModel, Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter

from consistent_s3.fields import VersionedFileField, VersionedImageField
from tests.archive.models import Contract
from tests.projects import run_django, write_settings


def chosen_storage():
    """Return what a project would choose at run time."""
    return storages["default"]


@pytest.mark.parametrize(
    ("field", "written"),
    [
        pytest.param(VersionedFileField(), {"upload_to": ""}, id="defaults"),
        pytest.param(VersionedFileField(upload_to="a"), {"upload_to": "a"}, id="upload_to"),
        pytest.param(
            VersionedFileField(upload_to=posixpath.join), {"upload_to": posixpath.join}, id="upload_to that is called"
        ),
        pytest.param(VersionedFileField(max_length=512), {"upload_to": ""}, id="our max_length"),
        pytest.param(
            VersionedFileField(max_length=100), {"upload_to": "", "max_length": 100}, id="Django's max_length"
        ),
        pytest.param(VersionedFileField(max_length=700), {"upload_to": "", "max_length": 700}, id="another max_length"),
        pytest.param(VersionedFileField(max_length=None), {"upload_to": "", "max_length": None}, id="no max_length"),
        pytest.param(VersionedFileField(db_index=True), {"upload_to": ""}, id="our db_index"),
        pytest.param(VersionedFileField(db_index=False), {"upload_to": "", "db_index": False}, id="no db_index"),
        pytest.param(VersionedFileField(unique=True), {"upload_to": "", "unique": True}, id="unique"),
        pytest.param(
            VersionedFileField(version_field="v"), {"upload_to": "", "version_field": "v"}, id="version_field"
        ),
        pytest.param(
            VersionedFileField(storage=chosen_storage), {"upload_to": "", "storage": chosen_storage}, id="storage"
        ),
        pytest.param(
            VersionedFileField("label", blank=True, null=True),
            {"upload_to": "", "verbose_name": "label", "blank": True, "null": True},
            id="what every field has",
        ),
        pytest.param(
            VersionedImageField(width_field="w", height_field="h", version_field="v", max_length=100, db_index=False),
            {
                "upload_to": "",
                "width_field": "w",
                "height_field": "h",
                "version_field": "v",
                "max_length": 100,
                "db_index": False,
            },
            id="image",
        ),
    ],
)
def test_a_field_is_written_by_what_differs_from_its_defaults_and_read_back_the_same(field, written):
    _, path, args, options = field.deconstruct()

    again = type(field)(*args, **options)

    assert (path, args, options) == (f"consistent_s3.fields.{type(field).__name__}", [], written)
    assert again.deconstruct()[1:] == field.deconstruct()[1:]
    assert (again.max_length, again.db_index) == (field.max_length, field.db_index)


def test_a_field_that_is_cloned_keeps_its_options():
    clone = Contract._meta.get_field("file").clone()

    assert (clone.version_field, clone.upload_to, clone.max_length, clone.db_index) == (
        "file_version",
        "contracts",
        512,
        True,
    )


@pytest.mark.parametrize("name", ["Document", "Contract", "Picture", "SignedContract", "Report", "Page", "Plan"])
def test_a_migration_reads_back_what_was_written(name):
    state = ModelState.from_model(apps.get_model("archive", name))
    migration = type("Migration", (Migration,), {"operations": [CreateModel(name, list(state.fields.items()))]})
    source = MigrationWriter(migration("0001_initial", "archive"), include_header=False).as_string()

    scope: dict = {}
    exec(source, scope)  # what Django's loader does with the file

    (operation,) = scope["Migration"].operations
    again = {field_name: field.deconstruct()[1:] for field_name, field in operation.fields}
    assert again == {field_name: field.deconstruct()[1:] for field_name, field in state.fields.items()}


def test_the_autodetector_sees_no_change_in_what_it_just_saw():
    before, after = ProjectState.from_apps(apps), ProjectState.from_apps(apps)

    changes = MigrationAutodetector(before, after).changes(graph=_NoGraph())

    assert changes == {}


@pytest.mark.parametrize("change", ["max_length", "db_index", "version_field"])
def test_the_autodetector_sees_a_change(change):
    before, after = ProjectState.from_apps(apps), ProjectState.from_apps(apps)
    field = after.models["archive", "contract"].fields["file"].clone()
    setattr(field, change, {"max_length": 100, "db_index": False, "version_field": "pin"}[change])
    after.models["archive", "contract"].fields["file"] = field

    changes = MigrationAutodetector(before, after)._detect_changes()

    assert [operation.describe() for operation in changes["archive"][0].operations] == ["Alter field file on contract"]


@pytest.mark.django_db
def test_a_data_migration_saves_files_with_their_pins(default_storage):
    from django.core.files.base import ContentFile

    historical = ProjectState.from_apps(apps).apps.get_model("archive", "Contract")
    row = historical.objects.create(file=ContentFile(b"one", name="a.txt"))
    row.file = ContentFile(b"two", name="b.txt")

    row.save(update_fields=["file"])

    contract = Contract.objects.get()
    assert (contract.file.name, contract.file_version) == ("contracts/a.txt", 2)


def test_a_plain_file_field_can_be_altered_into_ours():
    before, after = ProjectState.from_apps(apps), ProjectState.from_apps(apps)
    before.models["archive", "document"].fields["file"] = models.FileField(upload_to="documents", blank=True)

    changes = MigrationAutodetector(before, after)._detect_changes()

    assert [operation.describe() for operation in changes["archive"][0].operations] == ["Alter field file on document"]
    assert not any(isinstance(operation, AddField) for operation in changes["archive"][0].operations)


def test_makemigrations_makes_one_migration_and_then_none(tmp_path):
    package = tmp_path / "made_here"
    package.mkdir()
    (package / "__init__.py").touch()
    write_settings(tmp_path, "MIGRATION_MODULES = {'archive': 'made_here'}\n")

    made = run_django(tmp_path, "makemigrations", "archive")
    checked = run_django(tmp_path, "makemigrations", "archive", "--check", "--dry-run")

    assert made.returncode == 0, made.stderr
    assert "version_field='file_version'" in (package / "0001_initial.py").read_text()
    assert (checked.returncode, checked.stdout) == (0, "No changes detected in app 'archive'\n")


class _NoGraph:
    """A migration graph of no migrations."""

    def leaf_nodes(self, app=None):
        return []
