"""Which texts does the package show, and what do its catalogues say of them? Without gettext's tools.

Python is read with `ast` and templates with Django's own `templatize`, which `makemessages` uses, too.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from django.utils.translation.template import templatize

import consistent_s3

PACKAGE = Path(consistent_s3.__file__).parent
LANGUAGES = ["de", "es", "fr", "zh_Hans"]
NOW, LAZY = "now", "lazy"
_PLAIN, _COUNTED = ("gettext", "gettext_noop"), ("ngettext",)
_CONTEXT, _CONTEXT_COUNTED = ("pgettext",), ("npgettext",)
_CALL = re.compile(r"\b(_|gettext|ngettext|pgettext|npgettext)\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Something that is to be translated."""

    singular: str
    plural: str = ""
    context: str | None = None

    @property
    def key(self) -> tuple[str | None, str]:
        return self.context, self.singular


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A text, where it is, and whether it is translated once for all while a module is imported."""

    text: Text
    where: str
    frozen: bool = False


@cache
def found() -> list[Found]:
    """Return every text of the package."""
    return [*_in_python(), *_in_templates()]


def python_files(word: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the package that has a word, with its path."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text()
        if word in source:
            yield str(path.relative_to(PACKAGE)), ast.parse(source)


def templates() -> Iterator[tuple[str, str]]:
    """Yield each template of the package with its path."""
    for path in sorted(PACKAGE.rglob("*.html")):
        yield str(path.relative_to(PACKAGE)), path.read_text()


@cache
def catalogue(language: str) -> Catalog:
    """Return what translators wrote."""
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def compiled(language: str) -> gettext.GNUTranslations:
    """Return what Django reads."""
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


@cache
def translations(language: str) -> dict[Text, tuple[str, ...]]:
    """Return what each text of a catalogue is called: one form, or one for each plural."""
    told = {}
    for message in catalogue(language):
        if message.id:
            singular, plural = message.id if isinstance(message.id, tuple) else (message.id, "")
            forms = message.string if isinstance(message.string, tuple) else (message.string,)
            told[Text(singular=singular, plural=plural, context=message.context)] = tuple(forms)
    return told


# How it is done


def _in_python() -> Iterator[Found]:
    for path, module in python_files("gettext"):
        names = _imported(module)
        if names:
            yield from _calls(module, names, path, frozen=True)


def _imported(module: ast.Module) -> dict[str, str]:
    """Return by which names a module calls gettext's functions."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }


def _calls(node: ast.AST, names: dict[str, str], path: str, *, frozen: bool) -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id in names:
            function = names[child.func.id]
            said = [each.value for each in child.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            text = _text(function.removesuffix("_lazy"), said)
            if text:
                lazy = function.endswith(("_lazy", "_noop"))
                yield Found(text=text, where=f"{path}:{child.lineno}", frozen=frozen and not lazy)
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if later and not isinstance(child, ast.Lambda):
            for decorator in child.decorator_list:
                yield from _calls(ast.Expr(decorator), names, path, frozen=frozen)
            for statement in child.body:
                yield from _calls(ast.Module([statement], []), names, path, frozen=False)
            continue
        yield from _calls(child, names, path, frozen=frozen and not later)


def _text(function: str, said: list[str]) -> Text | None:
    if function in {*_PLAIN, "_"} and said:
        return Text(singular=said[0])
    if function in _COUNTED and len(said) >= 2:
        return Text(singular=said[0], plural=said[1])
    if function in _CONTEXT and len(said) >= 2:
        return Text(singular=said[1], context=said[0])
    if function in _CONTEXT_COUNTED and len(said) >= 3:
        return Text(singular=said[1], plural=said[2], context=said[0])
    return None


def _in_templates() -> Iterator[Found]:
    for path, source in templates():
        code = templatize(source, origin=path)
        for call in _CALL.finditer(code):
            text = _text(call[1], list(_literals(code, call.end())))
            if text:
                yield Found(text=text, where=path)


_LITERAL = re.compile(r"""\s*u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*,?""", re.DOTALL)


def _literals(code: str, position: int) -> Iterator[str]:
    """Yield the strings at the beginning of a call's arguments."""
    while literal := _LITERAL.match(code, position):
        yield ast.literal_eval(literal[1])
        position = literal.end()
