"""`events compact`: many small chunks become few, so that streams are read with fewer requests."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consistent_s3.core.errors import ConsistentS3Error, UnreachableError
from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.compacting import MOST, Compaction, check
from consistent_s3.eventstore.names import Stream
from consistent_s3.management.event_lines import one_line, printable, refuse, stream_argument, write_json
from consistent_s3.streams.walking import LEAST, Compacted, compact_all

HELP = "Cover many small chunks of streams by few; what is covered is left for `collect`."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("streams", nargs="*", type=stream_argument, metavar="TYPE/ID", help="Streams; default: all.")
    parser.add_argument("--type", default="", metavar="TYPE", help="Only streams of this type.")
    parser.add_argument("--dry-run", action="store_true", help="Write nothing; say what would be covered.")
    parser.add_argument(
        "--most", type=int, default=MOST, metavar="EVENTS", help=f"Events in a covering chunk; default: {MOST}."
    )
    parser.add_argument(
        "--least",
        type=int,
        default=LEAST,
        metavar="CHUNKS",
        help=f"Leave streams alone in which fewer would be covered; default: {LEAST}. Not asked of streams named here.",
    )
    parser.add_argument(
        "--storage-class", default="", metavar="CLASS", help="Of covering chunks, as STANDARD_IA; default: as others."
    )
    parser.add_argument("--max-seconds", type=float, metavar="SECONDS", help="Stop cleanly when the time is over.")


def handle(
    command: BaseCommand,
    events: EventStore,
    *,
    streams: list[Stream],
    type: str,  # noqa: A002 - the option's name
    dry_run: bool,
    most: int,
    least: int,
    storage_class: str,
    max_seconds: float | None,
    json: bool,
    verbosity: int,
    **_: Any,
) -> None:
    """Compact. Raises `CommandError` if a stream could not be."""
    looked = 0

    def tell(stream: Stream, done: Compaction) -> None:
        nonlocal looked
        looked += 1
        if json:
            return
        if dry_run or verbosity > 1:
            would = "would be covered by" if dry_run else "covered by"
            command.stdout.write(f"  {printable(stream.name)}: {done.covered} chunks {would} {len(done.written)}")
        elif command.stderr.isatty():
            command.stderr.write(f"  {looked} streams compacted", ending="\r")

    choices: dict[str, Any] = {"most": most, "storage_class": storage_class, "dry_run": dry_run}
    check(most, storage_class)
    if streams:
        refuse({"--type": type, "--max-seconds": max_seconds is not None}, where="where streams are named")
        result = _compact_some(events, streams, tell, choices)
    else:
        result = compact_all(events, stream_type=type, least=least, seconds=max_seconds, tell=tell, **choices)
    if json:
        write_json(command, result.as_dict())
    else:
        would = "would be covered" if dry_run else "covered"
        command.stdout.write(
            f"{result.streams} streams looked at, {result.compacted} with chunks to cover: {result.covered} {would} by "
            f"{result.written}"
        )
        if result.rest:
            command.stdout.write("The time was over. Run it again for the rest.")
        for name, failure in result.failures.items():
            command.stderr.write(f"  {printable(name)}: {one_line(failure)}")
    if result.failures:
        raise CommandError(
            f"{len(result.failures)} streams could not be compacted; see above. `events verify` says more."
        )


def _compact_some(events: EventStore, streams: list[Stream], tell: Any, choices: dict[str, Any]) -> Compacted:
    result = Compacted(dry_run=choices["dry_run"])
    for stream in streams:
        result.streams += 1
        try:
            done = events.compact(stream.type, stream.id, **choices)
        except UnreachableError:
            raise
        except ConsistentS3Error as error:
            result.failures[stream.name] = str(error)
        else:
            result.count(done)
            tell(stream, done)
    return result
