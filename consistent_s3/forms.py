"""Form fields of versioned files: a comment that the project asks for, and a warning when somebody was faster.

They go with `widgets.VersionedFileInput`, which carries what was seen, typed and kept; see `replacing`.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext as _

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.replacing import happened, standing, told
from consistent_s3.widgets import LOST, VersionedFileInput, check_comment

KEEPABLE = frozenset({"replaced_meanwhile", "comment_required", "comment_too_long", "contradiction"})
"""The errors for which nothing is wrong with the upload itself."""


class VersionedFormField(forms.FileField):
    """The form field of a `VersionedFileField`.

    Guarantees:

    1. An upload is refused without a comment where its widget requires one, and with one that cannot be kept.
    2. An upload, or a clearing, is refused while the row's file is another than the form says that its user saw, until
       they say that they go on anyway. A form that does not say what was seen is not asked.
    3. What was compared is what the save expects; see `VersionedFieldFile.save`.
    """

    widget: Any = VersionedFileInput

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Return the upload, `False` to clear, or what was there. Raises `ValidationError`."""
        if data is LOST:
            raise ValidationError(
                _("The file that you had chosen is not kept any more. Choose it again."), code="kept_no_longer"
            )
        value = super().clean(data, initial)
        uploads = isinstance(data, File)
        if not (uploads or data is False):
            return value
        errors = [*self._comment_errors(data)] if uploads else []
        errors += self._meanwhile_errors(data, initial)
        if errors:
            raise ValidationError(errors)
        return value

    def _comment_errors(self, upload: Any) -> list[ValidationError]:
        comment = getattr(upload, "comment", "")
        if not comment and self.widget.comment_required:
            message = _("Say what changed: a new version needs a comment here.")
            return [ValidationError(message, code="comment_required")]
        try:
            check_comment(comment)
        except ValidationError as error:
            return [error]
        return []

    def _meanwhile_errors(self, data: Any, initial: Any) -> list[ValidationError]:
        widget = self.widget
        if widget.seen is None or not isinstance(initial, VersionedFieldFile) or initial.instance._state.adding:
            return []
        try:
            now = standing(initial)
        except ConsistentS3Error as error:
            message = _("The store does not answer, so nothing can be saved: %(error)s")
            return [ValidationError(message, code="store_error", params={"error": error})]
        widget.meanwhile = happened(widget.seen, widget.anyway, now)
        if widget.meanwhile is not None:
            message = _("%(happened)s Look at what is there now, or tick “%(anyway)s”.")
            words = {
                "happened": told(widget.meanwhile, says_who=widget.says_who(initial.instance)),
                "anyway": widget.anyway_label(clears=data is False),
            }
            return [ValidationError(message, code="replaced_meanwhile", params=words)]
        if data is not False and initial.field.versioned_storage().archive.committer.tells_of_races:
            data.expected = now.seen.number
        return []


class VersionedImageFormField(VersionedFormField, forms.ImageField):
    """The form field of a `VersionedImageField`."""
