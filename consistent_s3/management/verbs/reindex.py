"""`manage.py consistent_s3 reindex`: rebuild the rows of the database index from the bucket."""

from __future__ import annotations

import json as encoder
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consistent_s3.collection import FAILURES, storage_aliases, versioned_storage
from consistent_s3.reindexing import Problem, Reindexer, Summary, Unknown
from consistent_s3.storage import ConsistentS3Storage

HELP = "Rebuild the rows of the database index from the bucket; safe to run again."
AMBIGUOUS = (Problem.UNKNOWN, Problem.BEFORE_NEWEST, Problem.SAME_NUMBER)
"""What somebody has to look at after a rebuilding, unless it was declared garbage."""
IN_THE_WAY = (Problem.UNKNOWN, Problem.NO_HINT)
"""What keeps a bucket from being read with `index="listing"`."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument(
        "--storage", action="append", metavar="ALIAS", help="A storage, by alias; default: all with index 'database'."
    )
    parser.add_argument("--dry-run", action="store_true", help="Change nothing; say what would be done.")
    parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")
    parser.add_argument(
        "--unknown",
        choices=[str(choice) for choice in Unknown],
        default=str(Unknown.REPORT),
        help="What objects are that the rows do not know: 'adopt' if the database was lost or restored from a backup, "
        "'garbage' if it was not, so that they are saves that were rolled back.",
    )
    parser.add_argument("--forget-missing", action="store_true", help="Forget versions whose objects are gone.")
    listing = parser.add_mutually_exclusive_group()
    listing.add_argument("--check", action="store_true", help="Say what is in the way of index 'listing'.")
    listing.add_argument(
        "--prepare-listing",
        action="store_true",
        help="Remove what is in the way of index 'listing'. Stop all writers first.",
    )


def handle(command: BaseCommand, *, storage: list[str] | None, json: bool, **options: Any) -> None:
    """Reindex each storage. Raises `CommandError` if one failed, or left something to look at."""
    results: dict[str, dict[str, Any]] = {}
    failed = False
    for alias in storage or [alias for alias in storage_aliases() if versioned_storage(alias).index_kind == "database"]:
        try:
            summary = _run(command, versioned_storage(alias), quiet=json, **options)
        except FAILURES as error:
            failed = True
            results[alias] = {"failure": str(error)}
            if not json:
                command.stderr.write(command.style.ERROR(f"{alias}: {error}"))
            continue
        results[alias] = summary.as_dict()
        failed = failed or bool(summary.count(*_open(**options)))
        if not json:
            _print(command, alias, summary)
    if json:
        command.stdout.write(encoder.dumps(results, indent=2))
    if failed:
        raise CommandError("Something is left to look at; see above. Running it again is safe.")


def _open(*, check: bool, prepare_listing: bool, unknown: str, forget_missing: bool, **_: Any) -> Sequence[Problem]:
    """Return the problems with which a run has not ended well."""
    if check or prepare_listing:
        return IN_THE_WAY
    ambiguous = () if unknown == Unknown.GARBAGE else AMBIGUOUS
    missing = () if forget_missing else (Problem.NO_OBJECT,)
    return (Problem.CHANGED, *ambiguous, *missing)


def _run(
    command: BaseCommand,
    storage: ConsistentS3Storage,
    *,
    quiet: bool,
    dry_run: bool,
    unknown: str,
    forget_missing: bool,
    check: bool,
    prepare_listing: bool,
    **_: Any,
) -> Summary:
    def tell(summary: Summary) -> None:
        if not quiet and command.stderr.isatty():
            progress = f"  {summary.names} names, {summary.scanned} keys, {summary.adopted} adopted"
            command.stderr.write(progress, ending="\r")

    reindexer = Reindexer(
        archive=storage.archive,
        index=storage.make_database_index(storage.archive.layout),
        unknown=Unknown(unknown),
        forget_missing=forget_missing,
        tell=tell,
    )
    if check or prepare_listing:
        return reindexer.check(prepare=prepare_listing and not dry_run)
    return reindexer.run(dry_run=dry_run)


def _print(command: BaseCommand, alias: str, summary: Summary) -> None:
    adopted = "would be adopted" if summary.dry_run else "adopted"
    command.stdout.write(
        f"{alias}: {summary.names} names, {summary.scanned} keys; {summary.known} known, {summary.adopted} {adopted}"
    )
    if summary.deleted or summary.hints:
        command.stdout.write(f"  {summary.deleted} objects without a row deleted, {summary.hints} hints written")
    for problem, count in sorted(summary.problems.items()):
        command.stdout.write(f"  {count:8}  {problem}")
    for found in summary.findings:
        if found.problem is not Problem.FOREIGN:
            command.stderr.write(f"  {found.key}: {found.problem}")
    if not summary.complete:
        command.stdout.write("  The collector keeps what has no row until a reindex ends without open questions.")
