"""Which logical name does a caller mean, and which other one fits?

Names come from forms, models and operating systems; what is kept is a relative path with `/`. Cut and varied as
`FileSystemStorage` does it, so that a field's `max_length` means the same here.
"""

from __future__ import annotations

import os
import pathlib
import posixpath
from collections.abc import Callable
from typing import Any

from django.core.exceptions import SuspiciousFileOperation

from consistent_s3.errors import SuspiciousNameError


def normalized(name: str | os.PathLike[str]) -> str:
    """Return a name as a relative path with `/`; empty for the root. Raises `SuspiciousNameError` if it leads out."""
    text = posixpath.normpath(os.fspath(name).replace("\\", "/"))
    if text.startswith("/") or ".." in pathlib.PurePosixPath(text).parts:
        raise SuspiciousNameError(f"{text[:80]!r} is outside of the storage. Use a relative path without '..'.")
    return "" if text == "." else text


def shortened(name: str, max_length: int | None) -> str:
    """Return a name of at most so many characters, its extensions kept. Raises `SuspiciousFileOperation`."""
    directory, root, extension = _parts(name)
    excess = len(name) - max_length if max_length else 0
    return posixpath.join(directory, f"{_cut(root, excess, name)}{extension}") if excess > 0 else name


def alternative(name: str, max_length: int | None, *, vary: Callable[[str, str], str]) -> str:
    """Return another name beside this one, cut to fit. Raises `SuspiciousFileOperation` if nothing fits.

    `vary` makes another file name of a root and an extension, as Django's `get_alternative_name` does.
    """
    directory, root, extension = _parts(name)
    candidate = posixpath.join(directory, vary(root, extension))
    excess = len(candidate) - max_length if max_length is not None else 0
    if excess > 0:
        candidate = posixpath.join(directory, vary(_cut(root, excess, name), extension))
    return candidate


def _parts(name: str) -> tuple[str, str, str]:
    """Return the directory of a name, the part of its file's name that may change, and the extensions."""
    directory, file_name = posixpath.split(name)
    extension = "".join(pathlib.PurePath(file_name).suffixes)
    return directory, file_name.removesuffix(extension), extension


def _cut(root: str, excess: int, name: Any) -> str:
    if len(root) <= excess:
        raise SuspiciousFileOperation(
            f"No available name fits {str(name)[:80]!r}: it is {excess} characters too long, and only {len(root)} of "
            "them may go. Raise the field's max_length."
        )
    return root[:-excess]
