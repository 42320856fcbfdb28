"""An earlier version brought back: as the newest version of its name, or as the first of another name."""

from __future__ import annotations

import posixpath
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.core.exceptions import SuspiciousFileOperation
from django.core.validators import RegexValidator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from consistent_s3.attribution import attribution
from consistent_s3.core.errors import ConflictError
from consistent_s3.core.versions import Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.files import VersionFile
from consistent_s3.history_admin.confirming import ConfirmPages
from consistent_s3.models import StoredObject, digest
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.widgets import comment_field


class RestoreForm(forms.Form):
    """What somebody says when restoring."""

    expected = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, *args: Any, comment_required: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["comment"] = comment_field(required=comment_required)


class CopyForm(forms.Form):
    """What a copy is to be called; it lies in the directory of the file."""

    def __init__(self, *args: Any, directory: str, comment_required: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        help_text = _("It is written beside the file, in “%(directory)s”.") % {"directory": directory or "/"}
        self.fields["name"] = forms.CharField(
            label=_("Name of the copy"),
            max_length=200,
            help_text=help_text,
            validators=[RegexValidator(r"[/\\]", _("Give a name without directories."), inverse_match=True)],
            widget=forms.TextInput(attrs={"class": "vTextField"}),
        )
        self.fields["comment"] = comment_field(required=comment_required)


class RestorePages(ConfirmPages):
    """Restores versions."""

    def version_restore_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Ask on GET; on POST write the version's bytes as a new version."""
        obj, file = self._file(request, object_id, field_name, "restore_version")
        version = self._version(file, number)
        newest = next(file.history(), None)
        form = RestoreForm(
            request.POST or None,
            comment_required=self.comment_is_required(request, field_name),
            initial={"expected": newest.number if newest else 0},
        )
        if request.method == "POST" and form.is_valid():
            try:
                restored = self._restore(request, file, number, **form.cleaned_data)
            except ConflictError as error:
                messages.error(request, _("Somebody else was faster: %(error)s") % {"error": error})
            else:
                said = _("Restored version %(number)d of “%(name)s” as version %(new)d.") % {
                    "number": number,
                    "name": file.name,
                    "new": restored.number,
                }
                return self._done(request, obj, file, said)
            return HttpResponseRedirect(self._versions_url(field_name, obj))
        context = {
            "title": _("Restore version %(number)d of “%(name)s”?") % {"number": number, "name": file.name},
            "page_name": _("Restore"),
            "version": version,
            "newest": newest,
            "form": form,
        }
        return self._respond(request, "restore.html", obj, file, context)

    def version_copy_view(self, request: HttpRequest, object_id: str, field_name: str, number: int) -> HttpResponse:
        """Ask on GET; on POST write the version's bytes as the first version of another name.

        Nothing is ever overwritten, nor anything put into the history of a file that was deleted: where the name is
        taken, the copy gets an alternative, which the message tells.
        """
        obj, file = self._file(request, object_id, field_name, "restore_version")
        version = self._version(file, number)
        directory, file_name = posixpath.split(version.name)
        stem, extension = posixpath.splitext(file_name)
        suggested = f"{stem}-{number}{extension}"
        form = CopyForm(
            request.POST or None,
            directory=directory,
            comment_required=self.comment_is_required(request, field_name),
            initial={"name": suggested},
        )
        if request.method == "POST" and form.is_valid():
            name = posixpath.join(directory, form.cleaned_data["name"])
            try:
                written = self._copy(request, file, version, name, form.cleaned_data["comment"])
            except SuspiciousFileOperation as error:
                form.add_error("name", str(error))
            else:
                said = _("Copied version %(number)d of “%(name)s” to “%(new)s”.") % {
                    "number": number,
                    "name": file.name,
                    "new": written.name,
                }
                if written.name != name:
                    said += " " + _("“%(name)s” was taken.") % {"name": name}
                return self._copied(request, obj, file, written.name, said)
        says = [_("The bytes become a new file of another name. This file and its row stay as they are.")]
        if self._stored_objects(request, file.storage) is None:
            says.append(
                _("No row has the copy: it is found in “Stored objects”, where there is that list, or by code.")
            )
        return self._ask(
            request,
            obj,
            file,
            form,
            title=_("Copy version %(number)d of “%(name)s”?") % {"number": number, "name": file.name},
            page_name=_("Copy"),
            says=says,
            button=_("Write the copy"),
        )

    # How it is done

    def _copied(self, request: HttpRequest, obj: Any, file: VersionedFieldFile, name: str, said: str) -> HttpResponse:
        """Tell of a copy as of anything else, with a link to its page where the user has one."""
        url = self._copy_url(request, file.storage, name)
        if not url:
            return self._done(request, obj, file, said)
        self.log_change(request, obj, said)
        messages.success(request, format_html('{} <a href="{}">{}</a>', said, url, _("Go to the copy")))
        return HttpResponseRedirect(self._versions_url(file.field.name, obj))

    def _copy_url(self, request: HttpRequest, storage: ConsistentS3Storage, name: str) -> str:
        """Return the page of a stored object; empty where there is none that this user may see."""
        stored_objects = self._stored_objects(request, storage)
        if stored_objects is None:
            return ""
        place = storage.make_database_index(storage.archive.layout).place
        row = stored_objects.get_queryset(request).filter(digest=digest(place, name)).first()
        if row is None or not stored_objects.has_view_permission(request, row):
            return ""
        return reverse(f"{self.admin_site.name}:consistent_s3_storedobject_change", args=[quote(row.pk)])

    def _stored_objects(self, request: HttpRequest, storage: ConsistentS3Storage) -> ModelAdmin[StoredObject] | None:
        """Return the admin that has a page for each file of a storage; `None` where this user has none."""
        site = self.admin_site
        if storage.index_kind != "database" or not site.is_registered(StoredObject):
            return None
        stored_objects = site.get_model_admin(StoredObject)
        return stored_objects if stored_objects.has_view_permission(request) else None

    def _copy(
        self, request: HttpRequest, file: VersionedFieldFile, version: Version, name: str, comment: str
    ) -> Version:
        with attribution(author=self.versions_author(request)), VersionFile(file.storage, version, "rb") as source:
            source.content_type = version.content_type  # type: ignore[attr-defined]  # as an upload's
            return file.storage.save_new(name, source, comment=comment, unwritten=True)

    def _restore(
        self, request: HttpRequest, file: VersionedFieldFile, number: int, *, expected: int, comment: str
    ) -> Version:
        told = file.storage.archive.committer.tells_of_races
        with attribution(author=self.versions_author(request)), file.locked() as locked:
            return locked.restore(number, expected=expected if told else None, comment=comment)
