"""The file input of a form that knows versions: what is there, who put it there, and why it is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext, ngettext

from consistent_s3.core.errors import ConsistentS3Error, VersionNotFoundError
from consistent_s3.core.versions import COMMENT_PARTS, VALUE_BYTES
from consistent_s3.fieldfiles import VersionedFieldFile

COMMENT_LENGTH = 300
"""Characters that the comment's input takes."""


class VersionedFileInput(AdminFileWidget):
    """A file input that shows the version in place, links to its history and takes a comment.

    The comment travels with the upload, as its attribute `comment`.
    """

    template_name = "consistent_s3/versioned_file_input.html"

    def __init__(self, *args: Any, history_url: Callable[[Any], str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.history_url = history_url

    @property
    def media(self) -> forms.Media:
        """Return the style sheet; there is no script."""
        return forms.Media(css={"all": ["consistent_s3/admin.css"]})

    def is_initial(self, value: Any) -> bool:
        """Return whether there is a file already; Django would ask the store for its address to know that."""
        if isinstance(value, VersionedFieldFile):
            return bool(value)
        return bool(super().is_initial(value))

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Look up the version: one LIST and one HEAD for a file, nothing for an empty field.

        A store that cannot answer must not keep anybody from the rest of the form: the page says so instead.
        """
        context = super().get_context(name, value, attrs)
        widget = context["widget"]
        widget |= {"comment_name": self.comment_name(name), "comment_length": COMMENT_LENGTH}
        if widget["is_initial"] and isinstance(value, VersionedFieldFile):
            widget["history_url"] = self.history_url(value.instance) if self.history_url else ""
            try:
                version = value.version
                widget |= {
                    "version": version,
                    "version_author": version.author,
                    "version_url": value.storage.url(version.name, version=version),
                }
            except VersionNotFoundError as error:
                widget["version_missing"] = str(error)
            except ConsistentS3Error as error:
                widget["store_error"] = str(error)
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the upload, with the comment that was typed beside it."""
        upload = super().value_from_datadict(data, files, name)
        if isinstance(upload, File):
            upload.comment = data.get(self.comment_name(name), "").strip()  # type: ignore[attr-defined]
        return upload

    def comment_name(self, name: str) -> str:
        """Return the name of the comment's input."""
        return f"{name}-comment"


def validate_comment(upload: Any) -> None:
    """Refuse a comment that does not fit beside the file, in words for the person who typed it."""
    most = VALUE_BYTES * COMMENT_PARTS
    excess = len(quote(getattr(upload, "comment", ""))) - most
    if excess > 0:
        raise ValidationError(
            ngettext(
                "The comment is too long by about %(excess)d character. Shorten it.",
                "The comment is too long by about %(excess)d characters. Shorten it.",
                excess,
            ),
            code="comment_too_long",
            params={"excess": excess},
        )


def comment_field() -> forms.CharField:
    """Return the comment's field for forms that upload nothing, such as a restoration's."""
    return forms.CharField(
        label=gettext("Comment"),
        required=False,
        max_length=COMMENT_LENGTH,
        help_text=gettext("Why? It is kept in the file’s history."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
