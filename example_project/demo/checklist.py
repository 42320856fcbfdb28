"""What was seen, line by line; the first thing that was not so ends the check."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE = 0.2
"""Seconds between two looks."""


class NotSoError(Exception):
    """Something is not as it should be."""


class Checklist:
    """Prints what was seen, and raises `NotSoError` for what was not."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.seen = 0

    def heading(self, text: str) -> None:
        """Say what comes next."""
        self._say(f"\n{text}")

    def saw(self, fact: str) -> None:
        """Note a fact."""
        self.seen += 1
        self._say(f"ok  {fact}")

    def see(self, condition: object, fact: str, *, instead: object) -> None:
        """Note a fact if its condition holds; `instead` says what is there if it does not."""
        if not condition:
            raise NotSoError(f"Not so: {fact}\n  instead: {instead}")
        self.saw(fact)

    def same(self, actual: object, expected: object, fact: str) -> None:
        """Note a fact if two things are equal."""
        self.see(actual == expected, fact, instead=f"{actual!r} is not {expected!r}")

    @contextmanager
    def refusal(self, error: type[Exception], fact: str) -> Iterator[None]:
        """Note a fact if the block raises an error of a kind, and what the error says."""
        try:
            yield
        except error as said:
            self.saw(f"{fact}: {said}")
        else:
            raise NotSoError(f"Not so: {fact}\n  instead: there was no {error.__name__}")


def wait_until(condition: Callable[[], bool], *, seconds: float, meanwhile: Callable[[], None]) -> float | None:
    """Look until a condition holds; return after how many seconds, or `None` if it never did.

    `meanwhile` is called between two looks and may raise.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        meanwhile()
        time.sleep(PAUSE)
    return time.monotonic() - began
