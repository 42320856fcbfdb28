"""Saving a form with files: in the user's name, never over what somebody else saved meanwhile, nothing chosen lost.

1. Everything that a request writes carries its user's name.
2. An upload that could not be saved yet, since the form has something to correct or somebody was faster, is kept, and
   comes back with the form.
3. Who is told only by the save itself that somebody was faster, is asked as if it had been seen before: the form is
   shown again, with everything typed, and nothing was saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from consistent_s3.attribution import attribution
from consistent_s3.core.errors import ConflictError
from consistent_s3.fieldfiles import VersionedFieldFile
from consistent_s3.fields import VersionedFileField
from consistent_s3.forms import KEEPABLE, VersionedFormField, VersionedImageFormField
from consistent_s3.history_admin.pages import FilePages
from consistent_s3.kept_uploads import Keeping, claimed, drop
from consistent_s3.replacing import standings
from consistent_s3.widgets import Links, VersionedFileInput

REFUSED = "consistent_s3_refused"
"""The attribute of a request that says why its form is refused."""


class SavingForms(FilePages):
    """Saves change forms and editable lists."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Attribute what is saved; show the form again to who was second."""
        response = self._saved(request, partial(super().changeform_view, request, *args, **kwargs))
        if "adminform" not in context_of(response):
            drop_claimed(request)
        return response

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Refuse what cannot be saved now."""
        return refusing(request, super().get_form(request, *args, **kwargs))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Look up all files that the page shows; keep what was chosen for upload in a form that is shown again."""
        prepare(request, list(shown_forms(context)))
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Attribute what actions and editable lists do; show the list again to who was second in one."""
        view = partial(super().changelist_view, request, *args, **kwargs)
        if "_save" in request.POST:
            response = self._saved(request, view)
        else:
            with attribution(author=self.versions_author(request)):
                try:
                    response = view()
                except ConflictError as error:
                    messages.error(request, refusal(error))
                    return HttpResponseRedirect(request.get_full_path())
        listed = context_of(response).get("cl")
        if listed is None:
            drop_claimed(request)
        elif listed.formset is not None:
            prepare(request, listed.formset.forms)
        return response

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Refuse what cannot be saved now."""
        return refusing(request, super().get_changelist_form(request, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Attribute what deleting a row does."""
        with attribution(author=self.versions_author(request)):
            return super().delete_view(request, *args, **kwargs)

    def _saved(self, request: HttpRequest, view: Callable[[], Any]) -> Any:
        """Return the answer to a form: of what is second, all was rolled back, and it is compared again.

        Once more second, the form refuses it.
        """
        with attribution(author=self.versions_author(request)):
            try:
                return view()
            except ConflictError:
                rewind(request)
            try:
                return view()
            except ConflictError as error:
                rewind(request)
                setattr(request, REFUSED, refusal(error))
            return view()


def refusal(error: ConflictError) -> str:
    """Return what is told to who was second."""
    return _("Nothing was saved, since somebody else is replacing the file right now: %(error)s") % {"error": error}


def refusing(request: HttpRequest, form_class: Any) -> Any:
    """Return a form; one that is never valid, where what it changes was refused already."""
    said = getattr(request, REFUSED, "")
    if not said:
        return form_class

    class Refusing(form_class):  # type: ignore[misc]
        def clean(self) -> Any:
            cleaned = super().clean()
            if self.prefix is None or self.has_changed():  # in a list: the row that was changed
                self.add_error(None, said)
            return cleaned

    return Refusing


def context_of(response: Any) -> dict[str, Any]:
    """Return what a page shows; nothing of an answer that is none, such as a redirection or what closes a popup."""
    return getattr(response, "context_data", None) or {}


def drop_claimed(request: HttpRequest) -> None:
    """Drop what was kept for a form that is not shown again: it was saved."""
    for kept in claimed(request):
        drop(kept)


def form_field(
    field: VersionedFileField,
    *,
    request: HttpRequest,
    links: Links,
    says_who: Callable[[Any], bool],
    comment_required: bool,
    **kwargs: Any,
) -> Any:
    """Return the form field of a versioned file, with its input."""
    shows_pictures = hasattr(field, "update_dimension_fields")
    kwargs["form_class"] = VersionedImageFormField if shows_pictures else VersionedFormField
    kwargs["widget"] = VersionedFileInput(
        links=links,
        says_who=says_who,
        comment_required=comment_required,
        keeping=Keeping(field=field, request=request),
    )
    return field.formfield(**kwargs)


def shown_forms(context: dict[str, Any]) -> Iterator[forms.BaseForm]:
    """Yield the forms of a page, those of its inlines included."""
    yield context["adminform"].form
    for inline in context["inline_admin_formsets"]:
        yield from inline.formset.forms


def prepare(request: HttpRequest, shown: Sequence[forms.BaseForm]) -> None:
    """Prepare forms for being shown."""
    look_up(shown)
    if request.method == "POST":
        for form in shown:
            keep_uploads(form)


def look_up(shown: Sequence[forms.BaseForm]) -> None:
    """Look up what is there of all files, together: one query for an index with rows."""
    inputs = [
        (field.widget, file)
        for form in shown
        for name, field in form.fields.items()
        if isinstance(field.widget, VersionedFileInput)
        and isinstance(file := form.get_initial_for_field(field, name), VersionedFieldFile)
        and file
    ]
    if len(inputs) > 1:
        for (widget, _file), now in zip(inputs, standings([file for _, file in inputs]), strict=True):
            widget.now = now


def keep_uploads(form: forms.BaseForm) -> None:
    """Keep the uploads of a form that is shown again, but for those with which something is wrong."""
    for name, form_field in form.fields.items():
        widget = form_field.widget
        if not (isinstance(widget, VersionedFileInput) and isinstance(widget.upload, UploadedFile)):
            continue
        codes = {error.code for error in form.errors.as_data().get(name, [])}
        if codes <= KEEPABLE:
            widget.kept = widget.keeping.keep(widget.upload) if widget.keeping else None
            widget.must_choose_again = widget.kept is None


def rewind(request: HttpRequest) -> None:
    """Make what was uploaded readable once more, from its beginning."""
    for uploads in request.FILES.lists():
        for upload in uploads[1]:
            upload.seek(0)
