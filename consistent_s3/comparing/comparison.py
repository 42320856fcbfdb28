"""What has changed between two versions of a file, in the way that suits what it holds?

1. At most `LIMIT` bytes of each version are read, of a document `DOCUMENT`, and nothing larger is ever in memory; what
   was cut says so.
2. Versions with one checksum are the same; nothing is read then.
3. What cannot be shown by its content is compared by size, type and checksum.
"""

from __future__ import annotations

from dataclasses import dataclass

from consistent_s3.comparing.documents import is_document, look_into, picture_size, picture_type
from consistent_s3.comparing.sides import DOCUMENT, LIMIT, Side
from consistent_s3.comparing.texts import TextChanges, compare_texts
from consistent_s3.comparing.values import TableChanges, ValueChanges, compare_json, compare_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions, and what is different; of the contents at most one is set.

    Where a table or a document says the same in other bytes, its text is compared.
    """

    old: Side
    new: Side
    same: bool = False
    """The bytes are the same."""
    cut: bool = False
    """Only the beginning was looked at."""
    limit: int = LIMIT
    """Bytes up to which it is looked at, if nothing else cut it."""
    text: TextChanges | None = None
    values: ValueChanges | None = None
    table: TableChanges | None = None
    pictures: bool = False
    """Both are pictures that a browser can show."""
    old_size: tuple[int, int] | None = None
    """Width and height of the older picture."""
    new_size: tuple[int, int] | None = None
    facts: tuple[tuple[str, str, str], ...] = ()
    """What the documents say of themselves: a word, the older value, the newer."""
    documents: bool = False
    """Of one at least something could be found out: what it says of itself, or its text, or that there is more."""
    text_is_extracted: bool = False
    """The text is not the file itself, but was taken out of it."""

    @property
    def opaque(self) -> bool:
        """Return whether nothing can be said of the contents but that they differ."""
        return not (self._shown or self.documents)

    @property
    def untold(self) -> bool:
        """Return whether there is no text in both documents that could be compared."""
        return self.documents and not self._shown

    @property
    def _shown(self) -> bool:
        return self.same or self.pictures or any((self.text, self.values, self.table))


def compare(old: Side, new: Side) -> Comparison:
    """Compare two versions. Raises what opening and reading them raises."""
    checksums = old.version.checksum, new.version.checksum
    if (checksums[0] and checksums[0] == checksums[1]) or old.version == new.version:
        return Comparison(old=old, new=new, same=True)
    if picture_type(old.data) and picture_type(new.data):
        sizes = picture_size(old.data), picture_size(new.data)
        return Comparison(old=old, new=new, pictures=True, old_size=sizes[0], new_size=sizes[1])
    if not (old.is_cut or new.is_cut) and old.data == new.data:
        return Comparison(old=old, new=new, same=True)
    if is_document(old.data) and is_document(new.data):  # a PDF may be plain text, but not for people
        return _of_documents(old, new)
    texts = old.text(), new.text()
    if texts[0] is not None and texts[1] is not None:
        return _of_texts(old, new, texts[0], texts[1])
    return _of_documents(old, new)


def _of_texts(old: Side, new: Side, old_text: str, new_text: str) -> Comparison:
    cut = old.is_cut or new.is_cut
    extensions = {old.extension, new.extension}
    values = compare_json(old_text, new_text) if ".json" in extensions and not cut else None
    if values and values.changes:
        return Comparison(old=old, new=new, values=values)
    table = compare_tables(old_text, new_text) if extensions & {".csv", ".tsv"} else None
    if table and table.rows:
        return Comparison(old=old, new=new, table=table, cut=cut)
    return Comparison(old=old, new=new, text=compare_texts(old_text, new_text), cut=cut)


def _of_documents(old: Side, new: Side) -> Comparison:
    """Compare what was taken out of documents; a document that is too large to be read whole cannot be opened."""
    wholes = [side.whole() if is_document(side.data) else b"" for side in (old, new)]
    if wholes[0] is None or wholes[1] is None:
        return Comparison(old=old, new=new, cut=True, limit=DOCUMENT)
    if wholes[0] and wholes[0] == wholes[1]:
        return Comparison(old=old, new=new, same=True)
    olds, news = look_into(wholes[0]), look_into(wholes[1])
    words = dict.fromkeys([*olds.facts, *news.facts])
    facts = tuple((word, olds.facts.get(word, ""), news.facts.get(word, "")) for word in words)
    cut = olds.cut or news.cut
    text = compare_texts(olds.text, news.text) if olds.text and news.text else None
    return Comparison(
        old=old,
        new=new,
        facts=facts,
        documents=bool(facts or olds.text or news.text or cut),
        text=text,
        text_is_extracted=text is not None,
        cut=cut,
    )


__all__ = ["DOCUMENT", "LIMIT", "Comparison", "Side", "compare"]
