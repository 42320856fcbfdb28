"""Simulated worlds of documents: clients that change the same values, on a store with every fault there is.

Each update adds a token of its own to a document's list. Whatever happens, the last list must tell who was told what:

1. a token that was acknowledged is in it once, unless the document was deleted after it;
2. a token of unknown outcome, or of a client that died, is in it once or not at all;
3. a token whose update raised any other error is not in it;
4. every version's list is that of the version before it, and one token.

Where a document is deleted a new life of it begins, which is named by its first token. What clients read is checked as
the histories of files are (see `histories`).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from consistent_s3.core.archive import Archive
from consistent_s3.core.documents import Document, Documents
from consistent_s3.core.errors import ConsistentS3Error, NotYetVisibleError, OutcomeUnknownError, VersionNotFoundError
from consistent_s3.testing import worlds
from consistent_s3.testing.histories import Operation
from consistent_s3.testing.seeds import main
from consistent_s3.testing.worlds import Plan, World

PREFIX = "state"


@dataclass(frozen=True, slots=True)
class Lists:
    """Writes a life and its tokens as JSON."""

    content_type: str = "application/json"

    def dumps(self, value: Any, /) -> bytes:
        """Return JSON."""
        return json.dumps(value).encode()

    def loads(self, data: bytes, /) -> Any:
        """Return the value."""
        return json.loads(data)


@dataclass(slots=True, kw_only=True)
class Update:
    """What a client was told of one token."""

    token: str
    name: str
    outcome: str = "unknown"
    """`ok`, `failed`, or `unknown`: also that of a client that died."""
    life: str = ""
    """The life of the document to which it was added."""


@dataclass(slots=True)
class Tally:
    """What became of all tokens."""

    updates: list[Update] = field(default_factory=list)
    deletions: Counter[str] = field(default_factory=Counter)
    """How many deletions of each name may have been done."""

    def violations(self, name: str, last: Any) -> list[str]:
        """Return what is wrong with the last value of a document; `None` for none."""
        life, tokens = (last["life"], last["tokens"]) if last else ("", [])
        updates = [update for update in self.updates if update.name == name]
        told = {update.token: update for update in updates}
        found = [f"{token} counts {count} times" for token, count in Counter(tokens).items() if count > 1]
        found += [
            f"{token} counts, and its client was told that it does not"
            for token in tokens
            if token not in told or told[token].outcome == "failed"
        ]
        lives = {update.life for update in updates if update.outcome == "ok"} | ({life} if last else set())
        if len(lives) > 1 + self.deletions[name] or (lives and not last and not self.deletions[name]):
            found.append(f"{name!r} lived {len(lives)} times, and was deleted {self.deletions[name]} times")
        found += [
            f"{update.token} was acknowledged, and is lost"
            for update in updates
            if update.outcome == "ok" and update.life == life and update.token not in tokens
        ]
        return found


class StateWorld(World):
    """A simulation of documents under `Plan`; its writers update, the others are as in `World`."""

    def __init__(self, seed: int, plan: Plan | None = None, **more: Any) -> None:
        super().__init__(seed, plan, **more)
        self.plan = replace(self.plan, names=tuple(f"{PREFIX}/{name}" for name in self.plan.names))
        self.tally = Tally()

    def documents(self, archive: Archive) -> Documents[Any]:
        """Return the documents of an archive, with nothing of any earlier operation."""
        return Documents(archive=archive, serializer=Lists(), prefix=PREFIX)

    def _operate(self, archive: Archive, client: str, kind: str) -> None:
        name = self.chance.choice(self.plan.names)
        operation = self.history.begin(client, kind, name)
        began = self.simulation.monotonic()
        try:
            getattr(self, f"_{kind}_document")(self.documents(archive), operation)
        except OutcomeUnknownError as error:
            self.history.end(operation, outcome="unknown", number=error.number)
            operation.ended = float("inf")
        except ConsistentS3Error as error:
            self.simulation.say(f"{kind} of {name}: {error}")
            self.history.end(operation, outcome="failed")
            self._blame(error, began)

    def _blame(self, error: ConsistentS3Error, began: float) -> None:
        """Note an error that a client which follows the protocol must not meet."""
        young = self.simulation.monotonic() - began < self.plan.timing.grace.total_seconds()
        shows_new = self.plan.index != "listing" and not self.plan.profile.create_delay
        if shows_new and isinstance(error, NotYetVisibleError):
            self.eaten.append(f"a new object is read after it was written: {error}")
        if young and isinstance(error, VersionNotFoundError):
            self.eaten.append(f"collected under a reader that took less than grace: {error}")

    def _write_document(self, documents: Documents[Any], operation: Operation) -> None:
        self._written += 1
        update = Update(token=f"token-{self._written}", name=operation.name)
        self.tally.updates.append(update)

        def add(value: Any) -> Any:
            life, tokens = (value["life"], value["tokens"]) if value else (update.token, [])
            made = {"life": life, "tokens": [*tokens, update.token]}
            operation.content, update.life = documents.serializer.dumps(made), life
            return made

        try:
            document = documents.update(_key(operation.name), add, author=operation.client)
        except OutcomeUnknownError:
            raise
        except ConsistentS3Error:
            update.outcome = "failed"
            raise
        update.outcome = "ok"
        self.history.end(operation, outcome="ok", number=document.number)

    def _delete_document(self, documents: Documents[Any], operation: Operation) -> None:
        self.tally.deletions[operation.name] += 1
        try:
            tombstone = documents.delete(_key(operation.name))
        except OutcomeUnknownError:
            raise
        except ConsistentS3Error:
            self.tally.deletions[operation.name] -= 1
            raise
        if tombstone is None:
            self.tally.deletions[operation.name] -= 1
            self.history.end(operation, outcome="failed")
        else:
            self.history.end(operation, outcome="ok", number=tombstone.number)

    def _read_document(self, documents: Documents[Any], operation: Operation) -> None:
        document: Document[Any] = documents.read(_key(operation.name))
        if document.version is None and self.tally.deletions[operation.name]:
            self.history.operations.remove(operation)  # it may be deleted, and nobody is told by which version
            return
        content = documents.serializer.dumps(document.value) if document.version else b""
        self.history.end(operation, outcome="ok", number=document.number, content=content)

    def _violations(self) -> list[str]:
        kept, found = self._kept(), super()._violations()
        gapless = self.plan.index != "redis" and not self.plan.collects
        acknowledged = {update.token for update in self.tally.updates if update.outcome == "ok"}
        for name in self.plan.names:
            values = [(number, json.loads(kept[name][number] or "null")) for number in sorted(kept[name])]
            found += self.tally.violations(name, values[-1][1] if values else None)
            if not gapless:  # Redis' history may hold attempts that came to nothing
                values = [(number, value) for number, value in values if value and value["tokens"][-1] in acknowledged]
            found += _steps(name, values, gapless=gapless)
        return found


def _key(name: str) -> str:
    return name.removeprefix(f"{PREFIX}/")


def _steps(name: str, kept: Sequence[tuple[int, Any]], *, gapless: bool) -> list[str]:
    """Return where a version's list is not that of the version before it, and one token.

    Without `gapless`, something may have been between two versions: lists may have grown by more, and a new life begun.
    """
    found: list[str] = []
    for (_, before), (number, after) in pairwise(kept):
        if after is None:
            continue
        same_life = before is not None and before["life"] == after["life"]
        tokens = before["tokens"] if same_life else []
        added = after["tokens"][len(tokens) :]
        follows = after["tokens"][: len(tokens)] == tokens and (len(added) == 1 if gapless else bool(added))
        if not follows or (gapless and before is not None and not same_life):
            found.append(f"version {number} of {name!r} does not follow from the one before: {before}, {after}")
    return found


def plan_of(seed: int) -> Plan:
    """Return the plan that a seed stands for: a pairing, with or without a collector, with or without deletions."""
    plan, pairings = worlds.plan_of(seed), len(list(worlds.pairings()))
    return replace(plan, writers=4, readers=1, deleters=(seed // (2 * pairings)) % 2)


if __name__ == "__main__":
    sys.exit(main(world=StateWorld, plan_of=plan_of, program="consistent_s3.testing.state_worlds"))
