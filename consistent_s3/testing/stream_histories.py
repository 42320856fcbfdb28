"""Was what the clients of streams saw right? Histories of concurrent calls, and their check against what was written.

Events never change and never go, so every call can be compared with one list for each stream: its events by position,
as they came into the bucket (see `stream_buckets`). What clients did and were told of a stream is right if

1. positions are 1, 2, 3 ... without gap, and no event id has two of them;
2. an append is there whole, its events side by side and in order, or not at all; nobody ever sees half of one;
3. an append that was acknowledged is where its caller was told, and lies right after the version that it expected;
   sent again it is told the same, never that it failed;
4. of an append that was refused nothing is there, and of one of unknown outcome all or nothing;
5. a read yields what is in the list, as far as it asked for, once and in order: so reads are prefixes of one another;
6. a folded state is the fold of the whole list up to its version;
7. a version that was seen before a call began is not gone back behind, and an append goes beyond it;
8. nothing is seen before its append began;
9. after a tombstone nothing is appended, and nobody who begins later sees the stream otherwise than ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

INFINITY = float("inf")


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of one client."""

    client: str
    kind: str
    """`append`, `end`, `read`, `version` or `state`."""
    stream: str
    began: float
    ended: float = INFINITY
    outcome: str = "unknown"
    """`ok`; `refused`: nothing of it is or will be there; `ended`: the stream was; `failed`: some other error;
    `unknown`: also of a client that died."""
    appends: tuple[str, ...] = ()
    """The event ids that it appends. Calls with the same ones are one append, sent again."""
    exact: int | None = None
    """The version that it expects, if it names one."""
    shown: list[tuple[int, str]] = field(default_factory=list)
    """Positions and event ids that it was told, in that order."""
    version: int | None = None
    """The stream's version as it was at some moment of the call."""
    at_most: int | None = None
    """The stream's version was not above this at some moment of the call."""
    learned: float | None = None
    """When `version` or `at_most` was told, if before the end."""
    backwards: bool = False

    @property
    def words(self) -> str:
        """Return what happened."""
        told = "" if self.version is None else f" at {self.version}"
        return f"{self.client}'s {self.kind} of {self.stream}{told} [{self.began:.3f}, {self.ended:.3f}]"


@dataclass(slots=True)
class StreamHistory:
    """Everything that the clients did, in the order of the beginning."""

    time: Callable[[], float] = float
    calls: list[Call] = field(default_factory=list)

    def begin(
        self,
        client: str,
        kind: str,
        stream: str,
        *,
        appends: Sequence[str] = (),
        exact: int | None = None,
        backwards: bool = False,
    ) -> Call:
        """Note that a client begins a call."""
        call = Call(
            client=client,
            kind=kind,
            stream=stream,
            began=self.time(),
            appends=tuple(appends),
            exact=exact,
            backwards=backwards,
        )
        self.calls.append(call)
        return call

    def learn(self, call: Call, *, version: int | None = None, at_most: int | None = None) -> None:
        """Note what a call was told about the stream's version."""
        call.version, call.at_most, call.learned = version, at_most, self.time()

    def end(self, call: Call, *, outcome: str) -> None:
        """Note how it ended."""
        call.outcome = outcome
        call.ended = INFINITY if outcome == "unknown" else self.time()

    def violations(self, written: Mapping[str, Mapping[int, str]]) -> list[str]:
        """Return what was wrong, in words; empty if nothing was.

        `written` tells for each stream the id of the event at each position, as it came into the bucket.
        """
        found: list[str] = []
        for stream in sorted({call.stream for call in self.calls} | set(written)):
            of_stream = [call for call in self.calls if call.stream == stream]
            found += _OfStream(of_stream, written.get(stream, {})).violations()
        return found


class _OfStream:
    """The rules for one stream."""

    def __init__(self, calls: Sequence[Call], written: Mapping[int, str]) -> None:
        self.calls = calls
        self.written = written
        self.sent: dict[tuple[str, ...], list[Call]] = defaultdict(list)
        """The calls of each append, the first first."""
        for call in sorted(calls, key=lambda call: call.began):
            if call.appends:
                self.sent[call.appends].append(call)
        self.position = {event: position for position, event in written.items()}

    def violations(self) -> list[str]:
        rules = (self._written, self._appended, self._expected, self._shown, self._ordered, self._caused, self._ended)
        return [violation for rule in rules for violation in rule()]

    def _written(self) -> Iterator[str]:
        """Rule 1."""
        stream = self.calls[0].stream if self.calls else "?"
        if sorted(self.written) != list(range(1, len(self.written) + 1)):
            yield f"the positions of {stream} have gaps: {sorted(self.written)}"
        for event, count in Counter(self.written.values()).items():
            if count > 1:
                places = [position for position, kept in self.written.items() if kept == event]
                yield f"event {event} of {stream} is there {count} times, at {places}"
        known = {event for appends in self.sent for event in appends}
        for position, event in self.written.items():
            if event not in known:
                yield f"event {event} at {position} of {stream} is nobody's"

    def _appended(self) -> Iterator[str]:
        """Rules 2 to 4."""
        for appends, calls in self.sent.items():
            there = [self.position[event] for event in appends if event in self.position]
            whole = len(there) == len(appends)
            acknowledged = [call for call in calls if call.outcome == "ok"]
            # Another was first where it wanted to be, so no earlier attempt can land there any more.
            refused = [call for call in calls if call.outcome == "refused" and _is_final(call)]
            refused += calls if all(call.outcome in {"refused", "ended", "failed"} for call in calls) else []
            if there and (not whole or there != list(range(there[0], there[0] + len(appends)))):
                yield f"{calls[0].words} is there in parts: {there} of {len(appends)} events"
            if refused and there:
                yield f"{refused[0].words} was refused, and is at {there}"
            if refused and acknowledged:
                yield f"{refused[0].words} was refused, and {acknowledged[0].words} was acknowledged"
            for call in acknowledged:
                if not whole:
                    yield f"{call.words} was acknowledged, and is not there"
                elif call.shown and call.shown[0][0] != there[0]:
                    yield f"{call.words} was told position {call.shown[0][0]}, and is at {there[0]}"

    def _expected(self) -> Iterator[str]:
        for call in self.calls:
            if call.outcome == "ok" and call.exact is not None and call.shown and call.shown[0][0] != call.exact + 1:
                yield f"{call.words} expected {call.exact}, and is at {call.shown[0][0]}"

    def _shown(self) -> Iterator[str]:
        """Rules 2, 5 and 6."""
        ends = {0, *(self.position[appends[-1]] for appends in self.sent if appends[-1] in self.position)}
        for call in self.calls:
            step = -1 if call.backwards else 1
            first = call.shown[0][0] if call.shown else 0
            wrong = next(
                (
                    f"{event} at {position} where {self.written.get(wanted, 'nothing')} at {wanted} was to come"
                    for wanted, (position, event) in zip(
                        range(first, first + step * len(call.shown), step), call.shown, strict=True
                    )
                    if position != wanted or self.written.get(position) != event
                ),
                "",
            )
            if wrong:
                yield f"{call.words} was told {wrong}"
            if call.version is not None and call.version not in ends:
                yield f"{call.words} saw a part of an append"

    def _ordered(self) -> Iterator[str]:
        """Rule 7, in a sweep by time."""
        told = [call for call in self.calls if call.version is not None]
        told.sort(key=_learned)
        highest: Call | None = None
        place = 0
        for call in sorted(self.calls, key=lambda call: call.began):
            while place < len(told) and _learned(told[place]) < call.began:
                if highest is None or (told[place].version or 0) > (highest.version or 0):
                    highest = told[place]
                place += 1
            if highest is None:
                continue
            seen = call.version if call.version is not None else call.at_most
            repeated = bool(call.appends) and self.sent[call.appends][0] is not call
            if seen is not None and not repeated and seen < (highest.version or 0) + bool(_adds(call)):
                yield f"{call.words} ({seen}) began after {highest.words} was told"

    def _caused(self) -> Iterator[str]:
        """Rule 8."""
        began = {event: calls[0].began for appends, calls in self.sent.items() for event in appends}
        for call in self.calls:
            early = next((event for _, event in call.shown if began.get(event, 0.0) > call.ended), "")
            if early:
                yield f"{call.words} was told of {early} before its append began"

    def _ended(self) -> Iterator[str]:
        """Rule 9."""
        ends = [call for call in self.calls if call.kind == "end" and call.outcome == "ok"]
        for call in self.calls:
            if call.outcome == "ended" and call.version is not None and call.version != len(self.written):
                yield f"{call.words} was told that it ended there, and it has {len(self.written)} events"
        if not ends:
            return
        first = min(ends, key=lambda call: call.ended)
        for call in self.calls:
            if call.began > first.ended and call.kind != "end" and call.outcome in {"ok", "refused"}:
                yield f"{call.words} was {call.outcome} after {first.words} had ended it"


def _learned(call: Call) -> float:
    return call.ended if call.learned is None else call.learned


def _is_final(call: Call) -> bool:
    """Return whether a refusal holds for ever: the stream has gone on from where the append wanted to be."""
    return call.exact is not None and (call.version or 0) > call.exact


def _adds(call: Call) -> bool:
    return call.kind == "append" and call.outcome == "ok"
