"""`manage.py consistent_s3 VERB`: one command, many verbs."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from consistent_s3.management.verbs import collect, install_schedule, probe, reindex

VERBS = {"collect": collect, "install-schedule": install_schedule, "probe": probe, "reindex": reindex}


class Command(BaseCommand):
    """Dispatches to the module of the verb."""

    help = "Look after the versioned files of this project."

    def add_arguments(self, parser: CommandParser) -> None:
        """Let each verb add its own."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, verb in VERBS.items():
            added = verbs.add_parser(name, help=verb.HELP, description=verb.HELP)
            verb.add_arguments(added)
            _add_common_arguments(added)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb."""
        VERBS[options["verb"]].handle(self, **options)


def _add_common_arguments(parser: ArgumentParser) -> None:
    """Take Django's own options after the verb too; what is not given there leaves what stands before it."""
    common = parser.add_argument_group("options of every command")
    common.add_argument("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS)
    for option in ("--settings", "--pythonpath"):
        common.add_argument(option, default=SUPPRESS)
    for option in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        common.add_argument(option, action="store_true", default=SUPPRESS)
