"""What comes of many seeds? Each stands for one simulated world; those that violate the promise are named."""

from __future__ import annotations

import argparse
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a seed."""

    seed: int
    violations: list[str]
    fired: Counter[str]
    """How often each fault happened."""
    outcomes: Counter[str]
    """How often an operation ended so."""
    trace: list[str]
    steps: int


class Simulated(Protocol):
    """What a seed stands for."""

    def run(self) -> Outcome:
        """Let it happen, once."""
        ...


def main(
    arguments: Sequence[str] | None = None,
    *,
    world: Callable[[int, Any], Simulated],
    plan_of: Callable[[int], Any],
    program: str,
) -> int:
    """Run seeds for some time (`--minutes 60`), or replay one (`--seed 7`)."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=main.__doc__)
    parser.add_argument("--seed", type=int, help="Replay this seed and print its trace.")
    parser.add_argument("--seeds", type=int, default=1000, help="How many seeds to run (default: 1000).")
    parser.add_argument("--minutes", type=float, help="Run for so long instead.")
    parser.add_argument("--begin", type=int, help="The first seed; drawn if not given.")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        outcome = world(options.seed, plan_of(options.seed)).run()
        print("\n".join([*outcome.trace, *outcome.violations]))  # noqa: T201 - a program
        return 1 if outcome.violations else 0
    first = secrets.randbelow(10**9) if options.begin is None else options.begin
    end = None if options.minutes is None else time.monotonic() + options.minutes * 60
    fired: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    failed: list[int] = []
    seed, begun = first, time.monotonic()
    while time.monotonic() < end if end is not None else seed < first + options.seeds:
        outcome = world(seed, plan_of(seed)).run()
        fired += outcome.fired
        outcomes += outcome.outcomes
        if outcome.violations:
            failed.append(seed)
            print(f"seed {seed}: " + "; ".join(outcome.violations))  # noqa: T201 - a program
        seed += 1
    print(f"seeds {first} to {seed - 1} in {time.monotonic() - begun:.0f} s: {len(failed)} violate the promise")  # noqa: T201
    print(f"faults fired: {dict(fired)}\nwhat happened: {dict(outcomes)}")  # noqa: T201
    return 1 if failed else 0
