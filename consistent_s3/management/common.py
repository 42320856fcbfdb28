"""Which options does every verb take?"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser


def add_common_arguments(parser: ArgumentParser) -> None:
    """Take Django's own options after the verb too; what is not given there leaves what stands before it."""
    common = parser.add_argument_group("options of every command")
    common.add_argument("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS)
    for option in ("--settings", "--pythonpath"):
        common.add_argument(option, default=SUPPRESS)
    for option in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        common.add_argument(option, action="store_true", default=SUPPRESS)
