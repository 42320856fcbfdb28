"""How do contracts race?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def in_threads(count: int, work: Callable[[], object]) -> None:
    """Do some work in several threads at once. Raises what one that failed raised."""
    together = threading.Barrier(count)

    def run() -> None:
        together.wait()
        work()

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run) for _ in range(count)]:
            future.result()
