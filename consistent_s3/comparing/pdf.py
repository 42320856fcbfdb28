"""What a PDF says of itself, and its text, found out by a process of its own.

A PDF of some kilobytes can unpack to gigabytes, and all its pages may be one stream, so that nothing tells beforehand
what reading it costs. The process has no more than `SECONDS`, `WAITED` and `MEMORY`, and none of the project's
environment; what it told before it was ended counts.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SECONDS = 5
"""Of a processor."""
WAITED = 10
"""Seconds that a clock may show."""
MEMORY = 512 * 1024**2
"""Bytes that the process may have, its code included."""
PAGES = 50
"""Pages whose text is taken."""
_SAID = {"title": "/Title", "creator": "/Author", "modified": "/ModDate"}


@dataclass(slots=True, kw_only=True)
class Document:
    """What a document says of itself, and its text, as far as they can be had."""

    facts: dict[str, str] = field(default_factory=dict)
    """By `pages`, `title`, `creator` and `modified`."""
    text: str = ""
    cut: bool = False
    """There is more text than was taken, or may be."""


def look_into_pdf(data: bytes, most: int) -> Document:
    """Return what a PDF says of itself, and `most` characters of its text, or a page more.

    Nothing is said of what cannot be read, nor without pypdf, nor where no process can be started.
    """
    found = Document()
    lines, found.cut = _ask(data, most) if find_spec("pypdf") else ([], False)
    for line in lines:
        match json.loads(line):
            case dict() as facts:
                found.facts = facts
            case str() as text:
                found.text += text
    found.cut = found.cut or len(found.text) > most or int(found.facts.get("pages", 0)) > PAGES
    return found


def read(data: bytes, most: int) -> Iterator[dict[str, str] | str]:
    """Yield what a PDF says of itself, then the text of its pages. Raises whatever a parser does."""
    from pypdf import PdfReader  # noqa: PLC0415 - an extra

    reader = PdfReader(io.BytesIO(data))
    pages = len(reader.pages)
    yield {"pages": str(pages)}
    said: Any = reader.metadata or {}
    yield {"pages": str(pages)} | {word: str(said.get(key) or "") for word, key in _SAID.items()}
    for position in range(min(pages, PAGES)):
        text = reader.pages[position].extract_text() + "\n"
        yield text[: most + 1]
        most -= len(text)
        if most < 0:
            return


def _ask(data: bytes, most: int) -> tuple[list[bytes], bool]:
    """Return the whole lines that the process wrote, and whether it ended before it had told all."""
    command = [_python(), "-m", __name__, str(most), str(SECONDS), str(MEMORY)]
    needed = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    environment = {**needed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - this very module
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=WAITED,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        written, ended = error.stdout or b"", True
    except OSError:
        return [], False
    else:
        written, ended = done.stdout, done.returncode != 0
    return written.split(b"\n")[:-1], ended


def _python() -> str:
    """Return the interpreter, also within a server that embeds one."""
    if Path(sys.executable or "").name.startswith("python"):
        return sys.executable
    return str(Path(sys.prefix, "bin", "python3"))


def _bound(seconds: int, memory: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _main() -> None:
    most, seconds, memory = map(int, sys.argv[1:])
    _bound(seconds, memory)
    for told in read(sys.stdin.buffer.read(), most):
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
