"""The form that asks for a moment, where the user is."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext as _

from consistent_s3.core.seams import SystemClock
from consistent_s3.local_times import at
from consistent_s3.widgets import comment_field

FIRST = date(1970, 1, 1)
"""The first day that is taken: no store is older."""


class MomentForm(forms.Form):
    """Which moment, and why."""

    def __init__(self, *args: Any, comment_required: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["day"] = forms.DateField(
            label=_("Day"),
            validators=[MinValueValidator(FIRST)],
            widget=forms.DateInput(attrs={"type": "date", "class": "vDateField"}, format="%Y-%m-%d"),
        )
        self.fields["time"] = forms.TimeField(
            label=_("Time"),
            help_text=_("In the time zone %(zone)s.") % {"zone": zone},
            widget=forms.TimeInput(attrs={"type": "time", "class": "vTimeField", "step": "1"}, format="%H:%M:%S"),
        )
        self.fields["comment"] = comment_field(required=comment_required)

    def clean(self) -> dict[str, Any]:
        """Make the moment of day and time, and refuse one that has not come, that was twice, or never."""
        data = super().clean() or {}
        if "day" in data and "time" in data:
            try:
                moment = at(data["day"], data["time"])
            except ValueError as error:
                raise ValidationError(
                    _("Clocks were changed at that time, so it came twice, or never. Choose another time.")
                ) from error
            if moment > SystemClock().now():
                raise ValidationError(_("This moment has not come yet."))
            data["moment"] = moment
        return data
