"""What an office file says of itself, and its text: of Word, Excel, PowerPoint and OpenDocument.

1. Of a member at most `MEMBER` bytes are unpacked, and of all together hardly more than `UNPACKED`.
2. However often a text is used, no more characters than are asked for are ever put together.
3. The text goes from the beginning to what is too much or cannot be read; if there is such a thing, `cut` says so.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from xml.etree.ElementTree import Element

from consistent_s3.comparing.pdf import Document

MEMBER = 1024**2
"""Bytes that are unpacked of one member of an archive at most."""
UNPACKED = 4 * MEMBER
"""Bytes after which no further member is unpacked."""
MEMBERS = 10_000
"""Members that an archive may have to be looked into."""
PARTS = 200
"""Sheets or slides whose text is taken."""
CELLS = 1_000
"""Cells of a row whose text is taken."""
CELL = 1_000
"""Characters of a cell that are taken."""
_ENTRY = b"PK\x01\x02"
"""What each entry of an archive's table of contents begins with."""
_SAID = {
    "docProps/core.xml": {"title": "title", "creator": "creator", "modified": "modified"},
    "meta.xml": {"title": "title", "creator": "creator", "date": "modified"},
}
_SLIDE = re.compile(r"ppt/slides/slide(\d{1,6})\.xml")
_BLANKS = frozenset({"s", "tab", "line-break"})
"""Elements of OpenDocument that stand for blanks."""


def look_into_office(data: bytes, most: int) -> Document:
    """Return what an office file says of itself, and `most` characters of its text; of another archive nothing.

    Raises whatever opening an archive does.
    """
    found = Document()
    if not find_spec("defusedxml") or data.count(_ENTRY) > MEMBERS:
        return found
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = _Members(archive, frozenset(archive.namelist()))
        with suppress(Exception):
            _take_facts(members, found.facts)
        lines = _Lines(most)
        for name, take in _KINDS.items():
            if name in members.names:
                try:
                    take(members, lines)
                except Exception:  # noqa: BLE001 - parsers raise anything at bytes that somebody made up
                    lines.cut = True
                break
    found.text, found.cut = "\n".join(lines.taken), lines.cut
    return found


class _TooMuchError(Exception):
    """There is more than is taken."""


@dataclass(slots=True)
class _Members:
    """The files in an archive."""

    archive: zipfile.ZipFile
    names: frozenset[str]
    left: int = UNPACKED

    def read(self, name: str) -> bytes:
        """Return a member, of a larger one a byte more than `MEMBER`. Raises whatever reading it does."""
        info = self.archive.getinfo(name)
        if self.left <= 0:
            raise _TooMuchError
        # What is packed otherwise is unpacked without bound, however little of it is read.
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise zipfile.BadZipFile
        with self.archive.open(info) as member:
            found = member.read(MEMBER + 1)
        self.left -= len(found)
        return found


@dataclass(slots=True)
class _Lines:
    """The lines of a text, as long as they are not too much."""

    left: int
    taken: list[str] = field(default_factory=list)
    cut: bool = False

    def add(self, line: str) -> None:
        """Take a line. Raises `_TooMuchError` if it is the last one, and perhaps not whole."""
        self.taken.append(line[: max(self.left, 0)])
        self.left -= len(line) + 1
        if self.left < 0:
            raise _TooMuchError

    def add_row(self, cells: Iterable[str]) -> None:
        """Take those cells of a row that hold anything as a line, or nothing."""
        shown: list[str] = []
        for position, cell in enumerate(cells):
            self.cut = self.cut or position >= CELLS or len(cell) > CELL
            if position >= CELLS:
                break
            if cell:
                shown.append(" ".join(cell[:CELL].splitlines()))
        if shown:
            self.add(" | ".join(shown))


def _take_facts(members: _Members, facts: dict[str, str]) -> None:
    for name, words in _SAID.items():
        if name not in members.names:
            continue
        said = {words[at]: element.text or "" for at, element in _whole(members.read(name), *words)}
        facts |= {word: said[word] for word in words.values() if word in said}


def _take_word(members: _Members, lines: _Lines) -> None:
    _take_paragraphs(members.read("word/document.xml"), lines)


def _take_slides(members: _Members, lines: _Lines) -> None:
    slides = sorted((int(found[1]), found[0]) for found in map(_SLIDE.fullmatch, members.names) if found)
    for _number, name in slides[:PARTS]:
        _take_paragraphs(members.read(name), lines)
    lines.cut = len(slides) > PARTS


def _take_paragraphs(data: bytes, lines: _Lines) -> None:
    for _name, paragraph in _whole(data, "p"):
        lines.add("".join(run.text or "" for run in paragraph.iterfind(".//{*}t")))


def _take_sheets(members: _Members, lines: _Lines) -> None:
    relations = {
        relation.get("Id", ""): (relation.get("Type", ""), posixpath.join("/xl", relation.get("Target", "")))
        for _name, relation in _whole(members.read("xl/_rels/workbook.xml.rels"), "Relationship")
    }
    strings: dict[int, str] = {}
    for kind, target in relations.values():
        if kind.endswith("/sharedStrings"):
            strings = _strings(members.read(_path(target)))
    sheets = [
        (sheet.get("name", ""), next(value for key, value in sheet.items() if key.endswith("}id")))
        for _name, sheet in _whole(members.read("xl/workbook.xml"), "sheet")
    ]
    for name, relation_id in sheets[:PARTS]:
        lines.add(f"[{name[:CELL]}]")
        for _name, row in _whole(members.read(_path(relations[relation_id][1])), "row"):
            lines.add_row(_cell(cell, strings) for cell in row.iterfind("{*}c"))
    lines.cut = lines.cut or len(sheets) > PARTS


def _path(target: str) -> str:
    return posixpath.normpath(target).lstrip("/")


def _strings(data: bytes) -> dict[int, str]:
    """Return the texts that cells refer to by number. Raises rather than leave one out."""
    return {number: _string(element) for number, (_name, element) in enumerate(_whole(data, "si"))}


def _string(element: Element) -> str:
    """Return a text, which may be in runs, without how it is pronounced; of a longer one a character too many."""
    runs = [*element.iterfind("{*}t"), *element.iterfind("{*}r/{*}t")]
    return "".join(run.text or "" for run in runs)[: CELL + 1]


def _cell(cell: Element, strings: dict[int, str]) -> str:
    """Return what a cell of Excel shows, but for the format of numbers. Raises `KeyError` if it refers to no text."""
    kind, value = cell.get("t"), cell.findtext("{*}v") or ""
    match kind:
        case "inlineStr":
            return "".join(_string(inline) for inline in cell.iterfind("{*}is"))
        case "s" if value:
            return strings[int(value)]
        case "b":
            return {"0": "FALSE", "1": "TRUE"}.get(value, value)
    return value


def _take_open_document(members: _Members, lines: _Lines) -> None:
    rows = deleted = tables = 0
    for event, name, element in _events(members.read("content.xml"), "start", "end"):
        step = 1 if event == "start" else -1
        rows += step * (name == "table-row")
        deleted += step * (name == "tracked-changes")
        if event == "start" and name == "table":
            tables += 1
            if tables > PARTS:
                raise _TooMuchError
            title = next((value for key, value in element.items() if key.endswith("}name")), "")
            lines.add(f"[{title[:CELL]}]")
        elif event == "start":
            continue
        elif name in _BLANKS:
            element.text = " "
        elif name == "table-row":
            lines.add_row(
                " ".join("".join(paragraph.itertext()) for paragraph in cell.iterfind("{*}p")) for cell in element
            )
            element.clear()
        elif name in {"h", "p"} and not rows:
            if not deleted:
                lines.add("".join(element.itertext()))
            element.clear()


_KINDS: dict[str, Callable[[_Members, _Lines], None]] = {
    "word/document.xml": _take_word,
    "xl/workbook.xml": _take_sheets,
    "ppt/presentation.xml": _take_slides,
    "content.xml": _take_open_document,
}
"""How the text is taken, by a member that only such files have."""


def _whole(data: bytes, *names: str) -> Iterator[tuple[str, Element]]:
    """Yield the elements of some names, innermost first; each is emptied when the next is asked for."""
    for _event, name, element in _events(data, "end"):
        if name in names:
            yield name, element
            element.clear()


def _events(data: bytes, *events: str) -> Iterator[tuple[str, str, Element]]:
    """Yield where elements start and end, by their names in whatever namespace.

    Of a member that is too large it is those in its first `MEMBER` bytes; then that is no XML, and raises.
    """
    from defusedxml.ElementTree import iterparse  # noqa: PLC0415 - an extra

    for event, element in iterparse(io.BytesIO(data[:MEMBER]), events=events):
        yield event, element.tag.rpartition("}")[2], element
