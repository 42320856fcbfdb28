"""What kind of file is it, as its name says? Shown as a picture or as a label; nothing is asked of the store."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

PREVIEW = 10 * 1024**2
"""Bytes of a picture that is shown."""
LABEL = 4
"""Characters of a label at most."""

_PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a file is to somebody who looks at a list of files."""

    label: str
    """Its extension, or a dash: never a colour alone."""
    picture: bool = False
    """It may be one that browsers show; its bytes decide."""

    def shown(self, size: int) -> bool:
        """Return whether a file of so many bytes is shown as a picture."""
        return self.picture and 0 < size <= PREVIEW


def kind_of(name: str) -> Kind:
    """Return the kind of a file that is called so."""
    extension = posixpath.splitext(name)[1].removeprefix(".").lower()
    return Kind(label=extension[:LABEL].upper() or "–", picture=extension in _PICTURES)
