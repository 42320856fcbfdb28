"""`python tests/screenshots/take.py [DIRECTORY]`: a picture of every page of ours, in every look, to be looked at.

Without a directory they go to `build/screenshots`, and those that the README shows are put beside this file, with
fewer colours, so that they stay small. The pages are those that axe looks at, of the same made-up bakery.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
SHOWN = {
    "change-light": "light/change",
    "versions-dark": "dark/history-held",
    "history": "light/history",
    "compare": "light/compare-text",
    "objects": "light/objects",
    "moment": "light/moment-rows-plan",
    "narrow": "narrow/history",
    "stream": "light/stream",
    "collections": "light/collections",
    "collection-run": "light/collection-run",
    "collection-approve-dark": "dark/collection-approve",
}
"""The pictures of the README, and where they come from."""
COLOURS = 64
TALLEST = 1_400
"""Pixels of a picture in the README; what is below is left out."""


def main() -> int:
    """Take them. Returns 0 if every page was as it should be."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "build" / "screenshots").resolve()
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_accessibility.py", "-m", "slow", "-k", "every_page", "-q"],
        cwd=REPOSITORY,
        env={**os.environ, "CONSISTENT_S3_SCREENSHOTS": str(directory)},
        check=False,
    )
    if len(sys.argv) == 1:
        for name, taken in SHOWN.items():
            put(directory / f"{taken}.png", HERE / f"{name}.png")
    return ended.returncode


def put(taken: Path, kept: Path) -> None:
    """Keep a picture, smaller."""
    image = Image.open(taken).convert("RGB")
    image = image.crop((0, 0, image.width, min(image.height, TALLEST)))
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(kept, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
