"""How does this store behave? Asks it, on keys of its own.

    report = Probe(store=store, root="media/").run()

1. Everything happens below one new prefix; no other key is read, written or deleted.
2. Every question is answered: one that the store fails is "unknown", with the error's own sentence.
3. What was put is deleted again, also after an error or Ctrl-C; what could not be is named in `left_behind`.

Not guaranteed: that what was not seen does not happen (see `suitability`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from consistent_s3.core import suitability as ask
from consistent_s3.core.errors import StoreError
from consistent_s3.core.probing import conditions, listings, objects
from consistent_s3.core.probing.conditions import Extras
from consistent_s3.core.probing.ground import Answer, Ground
from consistent_s3.core.seams import Clock, ObjectStore, SystemClock, system_chance
from consistent_s3.core.suitability import Finding, Held, Question, Report

ROUNDS = 25
"""How often what may go right by luck is asked. Swift let several of 16 racers win in 39 to 44 rounds of 50."""
MOST_ROUNDS = 500
"""The keys of all rounds must fit one page of a listing."""
CONNECTIONS = 16

Ask = Callable[[Ground, str], Answer]

_ASKED: Mapping[Question, Ask] = {
    ask.STORED: objects.stored,
    ask.EMPTY: objects.empty,
    ask.RANGE: objects.byte_range,
    ask.METADATA: objects.metadata,
    ask.METADATA_SIZE: objects.metadata_size,
    ask.CREATE: conditions.create,
    ask.RACE: conditions.race,
    ask.LIST_FRESH: listings.fresh,
    ask.LIST_FORGETS: listings.forgets,
    ask.LIST_ORDER: partial(listings.order, names=listings.OUR_KEYS),
    ask.LIST_ORDER_OF_NAMES: partial(listings.order, names=listings.OTHER_KEYS),
    ask.START_AFTER: listings.start_after,
    ask.MAX_KEYS: listings.max_keys,
    ask.PAGES: listings.pages,
    ask.DELIMITER: listings.delimiter,
    ask.READ_NEW: objects.read_new,
    ask.READ_AFTER_ABSENCE: objects.read_after_absence,
    ask.READ_AFTER_OVERWRITE: objects.read_after_overwrite,
    ask.READ_AFTER_DELETE: objects.read_after_delete,
    ask.BATCH_DELETE: objects.batch_delete,
    ask.CLOCK: objects.clock,
    ask.LONG_KEY: objects.long_key,
}
"""How each question is asked, below a prefix of its own."""


@dataclass(slots=True, kw_only=True)
class Probe:
    """One examination of a store; `run` it once."""

    store: ObjectStore
    root: str = ""
    """The prefix below which a prefix of its own is made."""
    clock: Clock = field(default_factory=SystemClock)
    chance: random.Random = field(default_factory=system_chance)
    rounds: int = ROUNDS
    """From 1 to `MOST_ROUNDS`."""
    connections: int = CONNECTIONS
    """How many race to create one key."""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
    """boto3 arguments that every put here needs, for instance of encryption."""
    extras: Extras | None = None
    """Without it what only S3 can be asked is not asked."""
    tell: Callable[[Question], object] | None = None
    """Hears each question before it is asked."""
    prefix: str = field(init=False)
    _ground: Ground = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise ValueError(f"{self.rounds} rounds cannot be asked. Use 1 to {MOST_ROUNDS}.")
        self.prefix = f"{self.root}.consistent-s3-probe-{self.chance.getrandbits(48):012x}/"
        self._ground = Ground(
            store=self.store,
            clock=self.clock,
            rounds=self.rounds,
            connections=self.connections,
            extra=self.extra,
        )

    @property
    def left_behind(self) -> tuple[str, ...]:
        """Return the keys that could not be deleted; to be looked at also when `run` was interrupted."""
        return self._ground.left_behind

    def run(self) -> Report:
        """Ask everything, clean up, and return what was found."""
        asked = self._asked()
        try:
            findings = tuple(self._find(question, asked[question]) for question in ask.QUESTIONS if question in asked)
        finally:
            self._ground.clean_up()
        return Report(
            prefix=self.prefix,
            rounds=self.rounds,
            findings=findings,
            left_behind=self.left_behind,
            may_land=self._ground.may_land,
        )

    def _asked(self) -> Mapping[Question, Ask]:
        if self.extras is None:
            return _ASKED
        return {
            **_ASKED,
            ask.COMPLETION: partial(conditions.completion, extras=self.extras),
            ask.UNVERSIONED: partial(conditions.unversioned, extras=self.extras),
        }

    def _find(self, question: Question, asked: Ask) -> Finding:
        if self.tell is not None:
            self.tell(question)
        try:
            answer = asked(self._ground, f"{self.prefix}{question.id}/")
        except StoreError as error:
            answer = Answer(Held.UNKNOWN, str(error))
        return Finding(question=question, held=answer.held, evidence=answer.evidence)
