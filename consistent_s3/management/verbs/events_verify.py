"""`events verify`: every chunk of streams is read and compared; the exit code tells whether all is well."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.verifying import Folding, Verified, verify
from consistent_s3.management.event_lines import printable, refuse, stream_argument, write_json
from consistent_s3.streams.kinds import imported, stream_kind
from consistent_s3.streams.walking import walk

HELP = "Read every chunk of streams and compare: gaps, doubled ids, sizes, overlaps, snapshots. Changes nothing."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("streams", nargs="*", type=stream_argument, metavar="TYPE/ID", help="Streams; default: all.")
    parser.add_argument("--type", default="", metavar="TYPE", help="Only streams of this type.")
    parser.add_argument(
        "--fold",
        metavar="DOTTED.PATH",
        help="Compare snapshots with what this function folds; default: what CONSISTENT_S3_STREAMS says of the type.",
    )
    parser.add_argument(
        "--schema-version",
        metavar="VERSION",
        help="Which snapshots --fold makes; a whole number or a text; default: 1.",
    )


def handle(
    command: BaseCommand,
    events: EventStore,
    *,
    streams: list[Stream],
    type: str,  # noqa: A002 - the option's name
    fold: str | None,
    schema_version: str | None,
    json: bool,
    verbosity: int,
    **_: Any,
) -> None:
    """Verify. Raises `CommandError` if something is wrong."""
    if streams:
        refuse({"--type": type}, where="where streams are named")
    if fold is None:
        refuse({"--schema-version": schema_version is not None}, where="without --fold")
    named: Iterable[Stream] = streams or (found.stream for found in walk(events, stream_type=type))
    sound = total = 0
    broken: list[str] = []
    for stream in named:
        found = verify(events, stream.type, stream.id, folding=_folding(stream.type, fold, schema_version))
        if streams and not found.chunks:
            found.note(f"There is no stream {stream.name!r}.")
        _tell(command, found, as_json=json, verbosity=verbosity)
        total += found.version
        if found.problems:
            broken.append(stream.name)
        else:
            sound += 1
    if not json:
        command.stdout.write(f"{sound + len(broken)} streams with {total} events verified, {sound} sound")
    if broken:
        raise CommandError(f"{len(broken)} streams are not as they should be; see above.")


def _tell(command: BaseCommand, found: Verified, *, as_json: bool, verbosity: int) -> None:
    if as_json:
        values = {"stream": found.stream.name, "version": found.version, "chunks": found.chunks}
        write_json(command, {**values, "snapshots": found.snapshots, "ended": found.ended, "problems": found.problems})
        return
    name = printable(found.stream.name)
    if found.problems:
        command.stdout.write(command.style.ERROR(f"{name}: not sound"))
        for problem in found.problems:
            command.stdout.write(f"  {printable(problem)}")
    elif verbosity > 1:
        ended = ", ended" if found.ended else ""
        command.stdout.write(
            f"{name}: sound, {found.version} events in {found.chunks} chunks, {found.snapshots} snapshots{ended}"
        )
    elif command.stderr.isatty():
        command.stderr.write(f"  {name}", ending="\r")


def _folding(stream_type: str, fold: str | None, schema_version: str | None) -> Folding | None:
    kind = stream_kind(stream_type)
    initial = {} if kind is None else kind.initial
    if fold is not None:
        version: int | str = 1 if schema_version is None else schema_version
        if isinstance(version, str) and version.isascii() and version.isdigit():
            version = int(version)
        return Folding(fold=imported(fold, where="--fold"), initial=initial, schema_version=version)
    return None if kind is None else Folding(fold=kind.fold, initial=initial, schema_version=kind.schema_version)
