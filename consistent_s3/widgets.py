"""The file input of a form that knows versions: what is there, who put it there, and why it is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError, VersionNotFoundError
from consistent_s3.core.versions import COMMENT_PARTS, VALUE_BYTES, Version
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.kept_uploads import Keeping, KeptUpload
from consistent_s3.kinds import kind_of
from consistent_s3.replacing import Meanwhile, Seen, Standing, standing
from consistent_s3.theming import is_themed

COMMENT_LENGTH = 300
"""Characters that the comment's input takes."""
LOST = object()
"""Instead of an upload that the form names and that is not kept any more."""


class Links(Protocol):
    """Where the pages of a row's file are."""

    def __call__(self, obj: Any, page: str, /, *args: Any) -> str:
        """Return the address of a page; empty where there is none for this user."""
        ...


class VersionedFileInput(AdminFileWidget):
    """A file input that shows the version in place, links to its history and takes a comment.

    The comment travels with the upload, as its attribute `comment`. `links` tells where the pages of the file are;
    without it the file's name leads to the storage's own address. `says_who` tells whether a row's form shows who wrote
    a version, and why. With `keeping`, uploads of a form that is shown again are kept. Use it with
    `forms.VersionedFormField`.
    """

    template_name = "consistent_s3/versioned_file_input.html"

    def __init__(
        self,
        *args: Any,
        links: Links | None = None,
        says_who: Callable[[Any], bool] = lambda _: True,
        comment_required: bool = False,
        keeping: Keeping | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.links = links
        self.says_who = says_who
        self.comment_required = comment_required
        self.keeping = keeping
        # What came with a form that was sent; a form has its own copy of the widget.
        self.upload: Any = None
        self.comment = ""
        self.seen: Seen | None = None
        self.anyway: Seen | None = None
        self.meanwhile: Meanwhile | None = None
        self.kept: KeptUpload | None = None
        self.claimed = False
        self.must_choose_again = False
        self.now: Standing | None = None
        """What is there, where it was looked up together with others."""

    @property
    def media(self) -> forms.Media:
        """Return the style sheets; there is no script."""
        theme = ["consistent_s3/themes.css"] if is_themed() else []
        return forms.Media(css={"all": [*theme, "consistent_s3/admin.css"]})

    def is_initial(self, value: Any) -> bool:
        """Return whether there is a file already; Django would ask the store for its address to know that."""
        if isinstance(value, VersionedFieldFile):
            return bool(value)
        return bool(super().is_initial(value))

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Look up the version, if that was not done before: one LIST and one HEAD, nothing for an empty field.

        A store that cannot answer must not keep anybody from the rest of the form: the page says so instead.
        """
        context = super().get_context(name, value, attrs)
        widget = context["widget"]
        widget |= {
            "comment_name": self.comment_name(name),
            "comment_length": COMMENT_LENGTH,
            "comment": self.comment,
            "comment_required": self.comment_required,
            "seen_name": self.seen_name(name),
            "seen": self.seen or "",
            "kept_name": self.kept_name(name),
            "kept": self.kept,
            "must_choose_again": self.must_choose_again,
        }
        if isinstance(value, VersionedFieldFile) and not value.instance._state.adding:
            widget |= self._facts(value)
        if self.kept is not None:
            widget["attrs"].pop("required", None)  # a browser would not send the form without another file
        if self.meanwhile is not None:
            widget |= self._warning(name, value, self.meanwhile)
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the upload, with the comment that was typed beside it; `LOST` if it is not kept any more."""
        token = str(data.get(self.kept_name(name), ""))
        if token and not self.claimed and self.keeping is not None:
            self.claimed = True  # Django asks more than once
            files[name] = self.keeping.claim(token, name)
        upload = super().value_from_datadict(data, files, name)
        self.comment = str(data.get(self.comment_name(name), "")).strip()
        self.seen = Seen.read(data.get(self.seen_name(name)))
        self.anyway = Seen.read(data.get(self.anyway_name(name)))
        self.upload = files.get(name)
        if isinstance(upload, File):
            upload.comment = self.comment  # type: ignore[attr-defined]
        elif upload is None and token:
            return LOST
        return upload

    def comment_name(self, name: str) -> str:
        """Return the name of the comment's input."""
        return f"{name}-comment"

    def seen_name(self, name: str) -> str:
        """Return the name of the input that says what was there when the form was opened."""
        return f"{name}-seen"

    def anyway_name(self, name: str) -> str:
        """Return the name of the input that says to go on although somebody was faster."""
        return f"{name}-anyway"

    def kept_name(self, name: str) -> str:
        """Return the name of the input with the token of what was chosen before."""
        return f"{name}-kept"

    def anyway_label(self, *, clears: bool) -> str:
        """Return what somebody agrees to who goes on."""
        shown = self.meanwhile.shown if self.meanwhile else None
        if shown is None:
            return _("Go on anyway")
        words = {"number": shown.number}
        return (_("Clear version %(number)d anyway") if clears else _("Replace version %(number)d anyway")) % words

    def _facts(self, file: VersionedFieldFile) -> dict[str, Any]:
        """Return what is there, and who put it there."""
        facts: dict[str, Any] = {"kind": kind_of(str(file.name)), "history_url": self._link(file, "versions")}
        try:
            now = self.now or standing(file)
            facts["seen"] = self.seen or now.seen
            if file:
                version = _version(file, now.newest)
                author = version.author if self.says_who(file.instance) else ""
                facts |= {"version": version, "version_author": author} | self._addresses(file, version)
        except (VersionNotFoundError, KeyMissingError) as error:
            facts["version_missing"] = str(error)
        except ConsistentS3Error as error:
            facts["store_error"] = str(error)
        return facts

    def _addresses(self, file: VersionedFieldFile, version: Version) -> dict[str, str]:
        if self.links is None:
            return {"version_url": file.storage.url(version.name, version=version)}
        found = {"download_url": self._link(file, "version_download", version.number)}
        found["version_url"] = found["download_url"]
        if kind_of(version.name).shown(version.size):
            found["preview_url"] = self._link(file, "version_preview", version.number)
        return found

    def _warning(self, name: str, file: Any, meanwhile: Meanwhile) -> dict[str, Any]:
        """Return how what happened meanwhile can be looked at, and how to go on."""
        shown = meanwhile.shown
        found: dict[str, Any] = {
            "meanwhile": meanwhile,
            "anyway_name": self.anyway_name(name),
            "anyway_value": str(meanwhile.now.seen),
            "anyway_label": self.anyway_label(clears=self.checked),
        }
        if shown is not None:
            found["meanwhile_url"] = self._link(file, "version_download", shown.number)
        if meanwhile.comparable and (url := self._link(file, "versions_compare")):
            found["compare_url"] = f"{url}?old={meanwhile.before.number}&new={meanwhile.now.seen.number}"
        return found

    def _link(self, file: VersionedFieldFile, page: str, *args: Any) -> str:
        return self.links(file.instance, page, *args) if self.links and file else ""


def _version(file: VersionedFieldFile, newest: Version | None) -> Version:
    """Return the version that a row has; the index is asked once more only for one that is not the newest."""
    pinned = file.field.pinned(file.instance)
    if newest is not None and not newest.tombstone and pinned in {None, newest.number}:
        return newest
    return file.version


def check_comment(comment: str) -> None:
    """Raise `ValidationError` for a comment that is too long once it is encoded."""
    excess = len(quote(comment, errors="replace")) - VALUE_BYTES * COMMENT_PARTS
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


def comment_field(*, required: bool = False) -> forms.CharField:
    """Return the comment's field for forms that upload nothing, such as a restoration's."""
    return forms.CharField(
        label=_("Comment"),
        required=required,
        max_length=COMMENT_LENGTH,
        validators=[check_comment],
        help_text=_("Why? It is kept in the file’s history."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
