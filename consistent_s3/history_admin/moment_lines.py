"""One line of a plan that brings files back to a moment: what is to be done with one file, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from consistent_s3.core.rewinding import Step
from consistent_s3.history_admin import moment_words
from consistent_s3.rewinding import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One file in a plan."""

    key: str
    """What tells it from the others of the page."""
    row: Any
    kind: str
    """Which of the row's files it is, or in which storage."""
    step: Step
    carry_out: Callable[[str], Outcome] | None = None
    """Does the step, with a comment; `None` where this user may not."""
    refused: str = ""
    """Why this user may not have it done."""

    @property
    def goes_ahead(self) -> bool:
        """Return whether something is to be done, and may be."""
        return self.step.changes and not self.refused and self.carry_out is not None

    @property
    def file_name(self) -> str:
        """Return the name of the file, where the row is not called so itself."""
        return "" if self.step.name == str(self.row) else self.step.name or "–"

    @property
    def what(self) -> str:
        """Return what is going to happen, in the language of the page."""
        return _("Nothing") if self.refused else moment_words.what(self.step)

    @property
    def why(self) -> str:
        """Return the reason."""
        return self.refused or moment_words.why(self.step)

    @property
    def shown(self) -> list[Any]:
        """Return what a confirmation confirms."""
        step = self.step
        then = step.then.number if step.then else 0
        return [step.name, str(step.action), step.expected, then, step.pinned]
