"""`manage.py consistent_s3 probe`: ask the real bucket how it behaves, and say which index is safe on it."""

from __future__ import annotations

import json
import textwrap
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from consistent_s3.collection import storage_aliases, versioned_storage
from consistent_s3.core.errors import StoreError
from consistent_s3.core.probe import MOST_ROUNDS, ROUNDS
from consistent_s3.core.suitability import EVENT_STORE, Finding, Held, Mode, Question, Report, Verdict
from consistent_s3.probe import configured_mode, probe_of
from consistent_s3.streams.kinds import may_keep_streams

HELP = "Ask the real bucket how it behaves, and say which index is safe on it."
HONESTY = "Asking proves 'no', never 'yes': what did not show in {rounds} rounds may show tomorrow."
STREAMS = (
    "Streams are here, or CONSISTENT_S3_STREAMS names some, and no index makes them safe here. Keep them in another "
    "store, and set strong_listing=False, which refuses them here."
)
COLUMNS = (44, 7)
"""Widths of the question and of whether it held."""
WIDTH = 118


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--storage", action="append", metavar="ALIAS", help="A storage, by alias; default: all.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        choices=range(1, MOST_ROUNDS + 1),
        metavar="N",
        help=f"How often what may go right by luck is asked, 1 to {MOST_ROUNDS}; default: {ROUNDS}.",
    )


def handle(command: BaseCommand, *, storage: list[str] | None, json: bool, rounds: int, **_: Any) -> None:
    """Probe each storage.

    Raises: `CommandError` unless what each is set to, and the streams that it keeps or may come to keep, are safe on
    what was found.
    """
    printer = _Printer(command, as_json=json)
    unsafe = []
    for alias in storage or storage_aliases():
        try:
            report, configured = _probe(command, printer, alias, rounds)
        except (ImproperlyConfigured, StoreError) as error:
            printer.failure(alias, error)
            unsafe.append(alias)
        else:
            streams = _may_keep_streams(alias)
            printer.report(alias, report, configured, streams=streams)
            if configured not in report.safe or (streams and report.verdict(EVENT_STORE).held is not Held.YES):
                unsafe.append(alias)
    printer.end()
    if unsafe:
        raise CommandError(f"Not shown to be safe as configured: {', '.join(unsafe)}. See above for what to set.")


def _probe(command: BaseCommand, printer: _Printer, alias: str, rounds: int) -> tuple[Report, Mode | None]:
    configured = configured_mode(alias)
    probe = probe_of(alias, rounds=rounds, tell=printer.asking)
    try:
        return probe.run(), configured
    except KeyboardInterrupt:
        left = _left_behind(probe.left_behind)
        command.stderr.write(f"{alias}: interrupted. {left or 'What was written was deleted again.'}")
        raise


def _may_keep_streams(alias: str) -> bool:
    with suppress(StoreError):  # nothing is read or written there either; and the report tells what was not answered
        return may_keep_streams(versioned_storage(alias))
    return False


def _left_behind(keys: Sequence[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(repr(key) for key in keys[:3]) + (" ..." if len(keys) > 3 else "")
    return f"{len(keys)} keys could not be deleted, delete what lies below that directory yourself: {shown}."


class _Printer:
    """Says what was found, as a table or as JSON."""

    def __init__(self, command: BaseCommand, *, as_json: bool) -> None:
        self._command = command
        self._as_json = as_json
        self._results: dict[str, dict[str, Any]] = {}

    def asking(self, question: Question) -> None:
        if not self._as_json and self._command.stderr.isatty():
            self._command.stderr.write(f"  {question.text:{COLUMNS[0] + 24}.{COLUMNS[0] + 24}}", ending="\r")

    def report(self, alias: str, report: Report, configured: Mode | None, *, streams: bool) -> None:
        if self._as_json:
            self._results[alias] = _as_dict(report, configured, streams=streams)
            return
        self._write(f"{alias}: {report.rounds} rounds below {report.prefix}")
        self._write("")
        self._row("question", "held", "what was seen, and what it means")
        for finding in report.findings:
            self._finding(finding)
        self._write("")
        self._modes(report)
        self._advice(report, configured)
        if streams and report.verdict(EVENT_STORE).held is not Held.YES:
            self._write(STREAMS)
        self._write(HONESTY.format(rounds=report.rounds))
        if left := _left_behind(report.left_behind):
            self._command.stderr.write(self._command.style.ERROR(f"{alias}: {left}"))
        if report.may_land:
            self._command.stderr.write(
                f"{alias}: {len(report.may_land)} puts were never answered. Look below {report.prefix} in 15 minutes."
            )

    def failure(self, alias: str, error: Exception) -> None:
        if self._as_json:
            self._results[alias] = {"failure": str(error)}
        else:
            self._command.stderr.write(self._command.style.ERROR(f"{alias}: {error}"))

    def end(self) -> None:
        if self._as_json:
            self._command.stdout.write(json.dumps(self._results, indent=2))

    def _finding(self, finding: Finding) -> None:
        meaning = " ".join(filter(None, (finding.evidence, finding.consequence)))
        self._row(finding.question.text, finding.held.value, meaning)

    def _row(self, question: str, held: str, meaning: str) -> None:
        """Write one row of the table, wrapped within its columns."""
        first, second = COLUMNS
        left = textwrap.wrap(question, first)
        right = textwrap.wrap(meaning, WIDTH - first - second - 4, break_on_hyphens=False) or [""]
        for line in range(max(len(left), len(right))):
            cells = [cell[line] if line < len(cell) else "" for cell in (left, [held], right)]
            self._write(f"{cells[0]:{first}}  {cells[1]:{second}}  {cells[2]}".rstrip())

    def _modes(self, report: Report) -> None:
        self._write(f"Safe index modes here: {', '.join(mode.name for mode in report.safe) or 'none'}.")
        for verdict in report.verdicts:
            if verdict.held is not Held.YES:
                self._write(f"  {verdict.mode.name}: {_word(verdict)}")
        self._write(f"Streams of events are {_word(report.verdict(EVENT_STORE))} here.")

    def _advice(self, report: Report, configured: Mode | None) -> None:
        advised = report.advised(configured)
        if advised is None:
            self._write("Set: nothing here is known to be safe. Use another bucket, or see why it was not answered.")
        elif advised is configured:
            self._write(f"Set: nothing, {_options(advised)} is what it has.")
        else:
            self._write(f"Set: {_options(advised)}.")

    def _write(self, text: str) -> None:
        self._command.stdout.write(text)


def _word(verdict: Verdict) -> str:
    if verdict.held is Held.YES:
        return "safe"
    word = "not safe" if verdict.held is Held.NO else "not decided"
    return f"{word} ({_against(verdict)})"


def _against(verdict: Verdict) -> str:
    return ", ".join(finding.question.id for finding in verdict.against)


def _options(mode: Mode) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in mode.options.items())


def _as_dict(report: Report, configured: Mode | None, *, streams: bool) -> dict[str, Any]:
    advised = report.advised(configured)
    return {
        "prefix": report.prefix,
        "rounds": report.rounds,
        "findings": [
            {
                "question": finding.question.id,
                "text": finding.question.text,
                "held": finding.held.value,
                "evidence": finding.evidence,
                "consequence": finding.consequence,
            }
            for finding in report.findings
        ],
        "modes": [
            {
                "mode": verdict.mode.name,
                "options": dict(verdict.mode.options),
                "safe": verdict.held.value,
                "against": [finding.question.id for finding in verdict.against],
            }
            for verdict in report.verdicts
        ],
        "event_store": {
            "safe": report.verdict(EVENT_STORE).held.value,
            "against": [finding.question.id for finding in report.verdict(EVENT_STORE).against],
            "wanted": streams,
        },
        "configured": configured.name if configured else None,
        "configured_is_safe": configured in report.safe,
        "set": dict(advised.options) if advised else None,
        "left_behind": list(report.left_behind),
        "may_land": list(report.may_land),
    }
