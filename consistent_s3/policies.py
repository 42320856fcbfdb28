"""What does the project say about some names: which policy counts, what do rows point to, and what is held?

1. The policy of a name is that of the fields that claim it; else that of the first pattern that matches it; else the
   storage's. A field claims the names that its rows have, and all under the constant part of its `upload_to`, so that
   a file whose row was deleted keeps its policy.
2. Where several fields claim a name, what any of them keeps stays. A field without `retention=` that claims a name
   together with one that has it says what patterns and storage say.
3. All rows count, whatever managers hide, and the primary is asked, never a replica that lags behind. Rows of the
   models that a field names in `pinned_by` count as its own.
4. One query for each field, one for each model in its `pinned_by` and one for the holds, for up to 500 names. When one
   of them fails nothing is known, and nothing may go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models, router

from consistent_s3.core.erasing import Holding
from consistent_s3.core.retention import Circumstances, RetentionPolicy, all_of
from consistent_s3.fields import VersionedFileField
from consistent_s3.storage import ConsistentS3Storage

BATCH = 500
"""Names that are asked for in one query."""


def circumstances(storage: ConsistentS3Storage) -> Callable[[Sequence[str]], Mapping[str, Circumstances]]:
    """Return a function that says what the project knows of some names of a storage; of every one of them.

    Raises: `ImproperlyConfigured` for bad rules of a field. The function raises `DatabaseError` when nobody can say.
    """
    claimants = list(_claimants(storage, _file_fields()))

    def known(names: Sequence[str]) -> Mapping[str, Circumstances]:
        found: dict[str, Circumstances] = {}
        for begin in range(0, len(names), BATCH):
            found.update(_known(storage, claimants, names[begin : begin + BATCH]))
        return found

    return known


def lets_nothing_go(storage: ConsistentS3Storage) -> bool:
    """Return whether no rule of a storage, its patterns and its fields lets anything go, or moves it to an archive."""
    if not storage.rules.changes_nothing:
        return False
    fields = [file_field for file_field in _file_fields() if getattr(file_field, "retention", None) is not None]
    return all(claimant.changes_nothing for claimant in _claimants(storage, fields))


def keep_alike(one: ConsistentS3Storage, other: ConsistentS3Storage) -> bool:
    """Return whether two storages in one bucket keep the same of every object, so that either may collect it."""
    rules = [(storage.rules.policy, storage.rules.names, storage.timing.grace) for storage in (one, other)]
    return rules[0] == rules[1] and (not one.rules.names or root_of(one) == root_of(other))  # names begin at the root


# Where a storage keeps its objects


def bucket_of(storage: Any) -> tuple[Any, ...]:
    """Return what tells the bucket of a storage from others."""
    return storage.endpoint_url, storage.bucket_name


def root_of(storage: Any) -> str:
    """Return what the keys of a storage begin with."""
    return str(storage.archive.layout.root)


def called_there(names: Sequence[str], *, here: str, there: str) -> dict[str, str]:
    """Return the names below one root by what they are called below another; nothing of those that are not there."""
    return {(here + name).removeprefix(there): name for name in names if (here + name).startswith(there)}


def overlap(one: Any, other: ConsistentS3Storage) -> bool:
    """Return whether a storage of any kind keeps versions where another does."""
    keeps_versions = hasattr(one, "save_new")  # also behind Django's lazy `default_storage`
    if not keeps_versions or bucket_of(one) != bucket_of(other):
        return False
    return root_of(one).startswith(root_of(other)) or root_of(other).startswith(root_of(one))


# Who has a say


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimant:
    """A field whose files lie where a storage keeps its own."""

    field: models.FileField
    model: type[models.Model]
    """Whose rows are asked: the field's own model, or one of its `pinned_by`."""
    policy: RetentionPolicy | None
    """What the field itself says; `None` to say what patterns and storage say."""
    root: str
    """What the keys of the asking storage begin with."""
    prefix: str
    """The constant part of its `upload_to`, as a beginning of names of its storage; empty if there is none."""

    @property
    def changes_nothing(self) -> bool:
        return self.policy is None or (self.policy.keeps_everything and self.policy.archive_after is None)

    @property
    def version_field(self) -> str:
        return getattr(self.field, "version_field", None) or ""

    def here(self, names: Sequence[str]) -> dict[str, str]:
        """Return the names of the asking storage by what the field's own storage calls them."""
        return called_there(names, here=self.root, there=root_of(self.field.storage))

    def below(self, names: Sequence[str]) -> set[str]:
        """Return which names lie under the constant part of `upload_to`."""
        if not self.prefix:
            return set()
        return {name for there, name in self.here(names).items() if there.startswith(self.prefix)}

    def rows(self, names: Sequence[str], *, pinned: bool) -> Iterator[tuple[str, int]]:
        """Yield the names that rows have, and the number that each row is pinned to: one query.

        Zero for none; with `pinned` only rows that are.
        """
        here = self.here(names)
        if not here:
            return
        rows: models.QuerySet[Any] = models.QuerySet(self.model).using(router.db_for_write(self.model))
        rows = rows.filter(**{f"{self.field.attname}__in": [*here]})
        columns = [self.field.attname]
        if self.version_field:
            columns.append(self.version_field)
            if pinned:
                rows = rows.filter(**{f"{self.version_field}__isnull": False})
        for found, *number in rows.values_list(*columns).order_by().distinct():
            if found in here:  # a database may find names that differ in case
                yield here[found], (number and number[0]) or 0


def _file_fields() -> list[models.FileField]:
    return [
        file_field
        for model in apps.get_models(include_auto_created=True)
        for file_field in model._meta.local_fields
        if isinstance(file_field, models.FileField)
    ]


def _claimants(storage: ConsistentS3Storage, fields: Sequence[models.FileField]) -> Iterator[_Claimant]:
    for file_field in fields:
        if overlap(file_field.storage, storage):
            versioned = file_field if isinstance(file_field, VersionedFileField) else None
            for model in [file_field.model, *(versioned.pinning_models() if versioned else ())]:
                yield _Claimant(
                    field=file_field,
                    model=model,
                    policy=versioned.policy() if versioned else None,
                    root=root_of(storage),
                    prefix=constant_part(file_field.upload_to),
                )


def constant_part(upload_to: Any) -> str:
    """Return what all names that a field makes begin with, up to the first `%`; empty if nobody can say.

    An empty one says nothing: it would be every name of the storage.
    """
    if callable(upload_to):
        return ""
    constant, dated, _ = str(upload_to).partition("%")
    directory, _, begun = constant.rpartition("/") if dated else (constant, "", "")
    directory = posixpath.normpath(directory)
    return f"{directory}/{begun}" if directory not in {"", "."} else begun


@dataclass(slots=True, kw_only=True)
class _Claims:
    """What the fields say of one name."""

    numbers: set[int] = field(default_factory=set)
    """What rows are pinned to."""
    policies: list[RetentionPolicy] = field(default_factory=list)
    shared: bool = False
    """A field without a policy of its own claims it, too."""


def _known(
    storage: ConsistentS3Storage, claimants: Sequence[_Claimant], names: Sequence[str]
) -> Iterator[tuple[str, Circumstances]]:
    claims = _claims(claimants, names)
    held = _held(storage, names)
    for name in names:
        claim, holding = claims[name], held.get(name, Holding())
        general = storage.rules.for_name(name)
        policies = [*claim.policies, general] if claim.shared or not claim.policies else claim.policies
        yield (
            name,
            Circumstances(
                policy=all_of(policies),
                referenced=frozenset(claim.numbers),
                held=frozenset(holding.numbers),
                held_whole=bool(holding.whole),
            ),
        )


def _claims(claimants: Sequence[_Claimant], names: Sequence[str]) -> dict[str, _Claims]:
    claims = {name: _Claims() for name in names}
    for claimant in claimants:
        if claimant.policy is not None:
            for name in _claimed(claimant, names, claims):
                claims[name].policies.append(claimant.policy)
    contested = [name for name in names if claims[name].policies]
    for claimant in claimants:
        if claimant.policy is None:
            for name in _claimed(
                claimant, names if claimant.version_field else contested, claims, pinned=not contested
            ):
                claims[name].shared = True
    return claims


def _claimed(
    claimant: _Claimant, names: Sequence[str], claims: Mapping[str, _Claims], *, pinned: bool = False
) -> Set[str]:
    """Return which names a field claims, and note what its rows are pinned to."""
    claimed = claimant.below(names)
    for name, number in claimant.rows(names, pinned=pinned):
        claimed.add(name)
        if number:
            claims[name].numbers.add(number)
    return claimed


def _held(storage: ConsistentS3Storage, names: Sequence[str]) -> Mapping[str, Holding]:
    if not apps.is_installed("consistent_s3"):
        return {}  # there is no table, so nothing was ever held
    from consistent_s3.holds import in_force  # noqa: PLC0415 - its models need an installed app

    return in_force(storage, names)


def told(storage: ConsistentS3Storage) -> dict[str, Any]:
    """Return a storage's retention as JSON has it, and as people read it."""
    return {str(word): _told(value) for word, value in storage.retention.items()}


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(word): _told(inner) for word, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_told(inner) for inner in value]
    return value if isinstance(value, int | float | str | None) else str(value).removesuffix(", 0:00:00")
