"""Which index modes are right on a store that behaves as it was found to?

1. What is asked of a store is in one table, `QUESTIONS`; what each mode rests on in another, `MODES`.
2. A mode is unsafe when something it rests on was found not to hold, and undecided when something was not answered.
3. Asking proves "no", never "yes": what did not show in so many rounds may show tomorrow. So "safe" means "nothing that
   was asked speaks against it".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Held(Enum):
    """What came of a question."""

    YES = "yes"
    """Nothing else was seen."""
    NO = "no"
    """It was seen not to hold."""
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing to know of a store."""

    id: str
    """A word for scripts, and the directory in which the question is asked."""
    text: str
    """The claim that holds, or does not."""
    if_not: str
    """What it means that it does not."""


STORED = Question(
    id="stored",
    text="An object comes back as it was written",
    if_not="Files cannot be kept here.",
)
EMPTY = Question(
    id="empty",
    text="An object of no bytes is an object",
    if_not="Empty files and deletions cannot be kept here.",
)
RANGE = Question(
    id="range",
    text="A GET of a range returns that range",
    if_not="Reading from the middle of a file, and going on after a broken connection, returns the wrong bytes.",
)
METADATA = Question(
    id="metadata",
    text="Metadata comes back as it was written",
    if_not="Write ids, authors, comments and deletions are lost; only the database index keeps them elsewhere.",
)
METADATA_SIZE = Question(
    id="metadata-size",
    text="As much metadata as a version may have is kept",
    if_not="A save with a long comment, author or file name fails.",
)
CREATE = Question(
    id="create",
    text="A key that exists is not created again (If-None-Match: *)",
    if_not="Of two writers who reach for one number the later overwrites the earlier, and neither is told.",
)
RACE = Question(
    id="race",
    text="Of many who create one key at once, one wins",
    if_not="Of two writers at the same moment one is overwritten, although both were told that they succeeded.",
)
LIST_FRESH = Question(
    id="list-fresh",
    text="LIST shows a put at once",
    if_not="A listing does not know the newest version yet: reads would go back, and numbers be used twice.",
)
LIST_FORGETS = Question(
    id="list-forgets",
    text="LIST forgets a deleted key at once",
    if_not="A listing shows versions that are collected or erased.",
)
LIST_ORDER = Question(
    id="list-order",
    text="LIST is in the order of our keys' bytes",
    if_not="The first key of a listing is not the newest version.",
)
LIST_ORDER_OF_NAMES = Question(
    id="list-order-of-names",
    text="LIST is in that order also for signs beyond ours",
    if_not="Nothing for versions. Names with such signs may be listed in an odd order.",
)
START_AFTER = Question(
    id="start-after",
    text="LIST begins after the key it is told (StartAfter)",
    if_not="A history that begins below a number shows the wrong versions.",
)
MAX_KEYS = Question(
    id="max-keys",
    text="LIST returns no more than it is asked for (MaxKeys=1)",
    if_not="Nothing goes wrong, but each look for the newest version transfers up to a thousand keys.",
)
PAGES = Question(
    id="pages",
    text="Pages of a LIST join without gap or repetition",
    if_not="Histories and directories of more than a page are wrong.",
)
DELIMITER = Question(
    id="delimiter",
    text="LIST folds directories (Delimiter)",
    if_not="Directories cannot be listed.",
)
READ_NEW = Question(
    id="read-new",
    text="A new object is read at once",
    if_not="Reads right after a save wait for it, up to `patience`, and then fail with an error that says so.",
)
READ_AFTER_ABSENCE = Question(
    id="read-after-absence",
    text="A new object is read at once, also if it was asked for before",
    if_not="A writer who looks whether its lost answer arrived is told that it did not (a remembered 404).",
)
READ_AFTER_OVERWRITE = Question(
    id="read-after-overwrite",
    text="An overwritten object shows its new bytes at once",
    if_not="Nothing for versions, no key is written twice. What else is kept there may be read stale.",
)
READ_AFTER_DELETE = Question(
    id="read-after-delete",
    text="A deleted object is gone at once",
    if_not="What was erased or collected can be read for a while.",
)
BATCH_DELETE = Question(
    id="batch-delete",
    text="Many keys are deleted in one request, also missing ones",
    if_not="Nothing can be collected or erased here.",
)
LONG_KEY = Question(
    id="long-key",
    text="A key may have 1,024 bytes",
    if_not="Saves of long names fail.",
)
CLOCK = Question(
    id="clock",
    text="Its clock and ours differ by less than a minute",
    if_not="Ages are wrong by that much, so `grace` is shorter or longer than it says. Set this machine's clock.",
)
COMPLETION = Question(
    id="completion",
    text="Completing an upload keeps to the condition, too",
    if_not="Nothing: no large file rests on it. Other software that does will overwrite.",
)
UNVERSIONED = Question(
    id="unversioned",
    text="The bucket keeps no versions of its own",
    if_not="What is deleted here stays stored and paid for, also after `erase`. Suspend versioning, or let a "
    "lifecycle rule expire noncurrent versions.",
)

QUESTIONS = (
    STORED,
    EMPTY,
    RANGE,
    METADATA,
    METADATA_SIZE,
    CREATE,
    RACE,
    COMPLETION,
    LIST_FRESH,
    LIST_FORGETS,
    LIST_ORDER,
    LIST_ORDER_OF_NAMES,
    START_AFTER,
    MAX_KEYS,
    PAGES,
    DELIMITER,
    READ_NEW,
    READ_AFTER_ABSENCE,
    READ_AFTER_OVERWRITE,
    READ_AFTER_DELETE,
    BATCH_DELETE,
    UNVERSIONED,
    CLOCK,
    LONG_KEY,
)
"""All questions, in the order in which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way to find the newest version."""

    name: str
    options: Mapping[str, object]
    """What chooses it in a storage's OPTIONS."""
    rests_on: frozenset[Question]
    """What must hold for it to be right."""


_ANY = frozenset({STORED, EMPTY, RANGE})
_LISTS_IN_THE_END = _ANY | {METADATA, LIST_ORDER, START_AFTER, PAGES, DELIMITER}
_LISTS_AT_ONCE = _LISTS_IN_THE_END | {LIST_FRESH, LIST_FORGETS}

MODES = (
    Mode(name="database", options={"index": "database"}, rests_on=_ANY),
    Mode(
        name="listing",
        options={"index": "listing", "numbering": "sequence"},
        rests_on=_LISTS_AT_ONCE | {CREATE, RACE, READ_NEW, READ_AFTER_ABSENCE},
    ),
    Mode(
        name="listing with clock numbering",
        options={"index": "listing", "numbering": "clock"},
        rests_on=_LISTS_AT_ONCE,
    ),
    Mode(name="redis", options={"index": "redis", "strong_listing": True}, rests_on=_LISTS_AT_ONCE),
    Mode(
        name="redis on weak listings",
        options={"index": "redis", "strong_listing": False},
        rests_on=_LISTS_IN_THE_END,
    ),
)
"""What each mode rests on: the one table that allows and refuses. The first safe one is what is advised."""


EVENT_STORE = Mode(
    name="event store",
    options={},
    rests_on=_LISTS_AT_ONCE | {CREATE, RACE, READ_NEW, READ_AFTER_ABSENCE},
)
"""What streams of events rest on: the same as the listing index with sequence numbering."""


def mode_of(options: Mapping[str, object]) -> Mode | None:
    """Return the mode that a storage's options choose; `None` if the table does not know it."""
    return next((mode for mode in MODES if mode.options.items() <= options.items()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question."""

    question: Question
    held: Held
    evidence: str
    """What was seen, in words and counts; or why it could not be asked."""

    @property
    def consequence(self) -> str:
        """Return what it means for files kept here."""
        if self.held is Held.NO:
            return self.question.if_not
        return "" if self.held is Held.YES else "Not known."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one mode is right on a store."""

    mode: Mode
    held: Held
    """Whether it is safe."""
    against: tuple[Finding, ...] = ()
    """What it rests on that does not hold, or was not answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found."""

    prefix: str
    """Where it was asked."""
    rounds: int
    findings: tuple[Finding, ...]
    """One for each question, in the order of `QUESTIONS`; those that only S3 can be asked may be missing."""
    left_behind: tuple[str, ...] = field(default=())
    """Keys that could not be deleted afterwards."""
    may_land: tuple[str, ...] = field(default=())
    """Keys of puts that were never answered: they were deleted, and may yet appear within 15 minutes."""

    def finding(self, question: Question) -> Finding:
        """Return the answer to a question."""
        for finding in self.findings:
            if finding.question is question:
                return finding
        return Finding(question=question, held=Held.UNKNOWN, evidence="It was not asked.")

    def verdict(self, mode: Mode) -> Verdict:
        """Return whether a mode is safe on what was found."""
        rests_on = [self.finding(question) for question in QUESTIONS if question in mode.rests_on]
        for held in (Held.NO, Held.UNKNOWN):
            against = tuple(finding for finding in rests_on if finding.held is held)
            if against:
                return Verdict(mode=mode, held=held, against=against)
        return Verdict(mode=mode, held=Held.YES)

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Return one for each mode."""
        return [self.verdict(mode) for mode in MODES]

    @property
    def safe(self) -> Sequence[Mode]:
        """Return the modes that nothing speaks against, best first."""
        return [verdict.mode for verdict in self.verdicts if verdict.held is Held.YES]

    def advised(self, configured: Mode | None) -> Mode | None:
        """Return the mode to set: the configured one if it is safe, else the best that is; `None` if none is."""
        return configured if configured in self.safe else next(iter(self.safe), None)
