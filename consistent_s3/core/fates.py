"""What was decided about each object of an archive, and what came of it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consistent_s3.core.retention import Reason
from consistent_s3.core.span import Span
from consistent_s3.core.versions import Version

MAX_ERRORS = 100
"""Errors told one by one in a summary; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What was decided about one object."""

    name: str
    key: str
    size: int
    goes: bool
    reason: Reason
    number: int = 0
    """The version's number; 0 for anything else."""
    storage_class: str = ""
    """It stays, and moves to this storage class."""
    version: Version | None = field(default=None, repr=False, compare=False)
    """The version itself, where the index decides."""

    @property
    def is_work(self) -> bool:
        """Return whether anything is to be done."""
        return self.goes or bool(self.storage_class)


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a collection saw and did, or would do."""

    dry_run: bool
    names: int = 0
    scanned: int = 0
    """Keys or rows seen, keys of other software included."""
    kept: int = 0
    """Objects of ours that stay."""
    deleted: int = 0
    """Objects of ours that went, or would go."""
    bytes_freed: int = 0
    archived: int = 0
    """Objects that stay, and moved to another storage class, or would."""
    uploads_aborted: int = 0
    """Multipart uploads that nobody finished."""
    reasons: Counter[str] = field(default_factory=Counter)
    """How many objects stay or go for each reason."""
    errors: list[dict[str, str]] = field(default_factory=list)
    """`key`, `code` and `message` of each key that the store kept; at most `MAX_ERRORS`."""
    error_count: int = 0
    rest: Span | None = None
    """What is left, if a limit was reached."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for a Celery result."""
        return {
            "dry_run": self.dry_run,
            **{name: getattr(self, name) for name in COUNTS},
            "reasons": {str(reason): count for reason, count in sorted(self.reasons.items())},
            "error_count": self.error_count,
            "errors": list(self.errors),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Summary:
        """Return the summary that `as_dict` gave these values for; what is missing is nothing."""
        counts = {name: values.get(name, 0) for name in (*COUNTS, "error_count")}
        return cls(
            dry_run=values.get("dry_run", False),
            reasons=Counter(values.get("reasons", {})),
            errors=list(values.get("errors", ())),
            **counts,
        )

    def add(self, other: Summary) -> None:
        """Count what another part of the same collection saw and did."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        self.error_count += other.error_count
        self.errors.extend(other.errors[: MAX_ERRORS - len(self.errors)])

    def add_error(self, key: str, code: str, message: str) -> None:
        """Count an error of one key, and tell it if there is room."""
        self.error_count += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"key": key, "code": code, "message": message})


COUNTS = ("names", "scanned", "kept", "deleted", "bytes_freed", "archived", "uploads_aborted")
"""The plain counts of a summary."""
