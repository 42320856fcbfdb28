"""All texts can be translated, and German, French, Spanish and Simplified Chinese are complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import django
import pytest
from babel.messages.pofile import read_po
from django.utils.translation import ngettext, override, pgettext, to_language
from django.utils.translation.trans_real import translation

from consistent_s3.core.retention import Reason
from consistent_s3.models import CollectionRun, Hold
from consistent_s3.reasons import words
from tests.catalogues import (
    LANGUAGES,
    PACKAGE,
    Text,
    catalogue,
    compiled,
    found,
    python_files,
    templates,
    translations,
)

every_language = pytest.mark.parametrize("language", LANGUAGES)

PARTS = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|</?\w+[^>]*>")
"""What a translation has to keep: placeholders and tags."""
QUOTES = {"de": "„“", "es": "«»", "fr": "«»", "zh_Hans": "“”"}
ENDS = {".": ".。", ":": ":：", "?": "?？", "…": "…"}
NO_WORDS = {"CSV", "JSON", "SHA-256", "nbsp", "rsaquo", "larr", "rarr"}
"""What stands in templates as it is, in every language."""
WORDED = {"label", "help_text", "verbose_name", "verbose_name_plural", "description", "empty_label", "initial_text"}
"""Arguments whose strings are shown."""
SAYING = {"ValidationError", "Http404"}
"""Calls whose strings are shown; those of `messages` are, too."""


# What is translated


def test_every_text_of_the_package_is_found():
    texts = {one.text for one in found()}

    assert len(texts) > 600
    assert Text(singular="History", context="file") in texts
    assert Text(singular="%(count)d more", plural="%(count)d more") in texts
    assert Text(singular="Restored %(count)d file.", plural="Restored %(count)d files.") in texts


@every_language
def test_a_catalogue_has_each_text_of_the_package_and_no_other(language):
    texts = {one.text: one.where for one in found()}
    told = translations(language)

    missing = {where: text.singular for text, where in texts.items() if text not in told}
    unused = [text.singular for text in told if text not in texts]

    assert missing == {}, "run makemessages and translate"
    assert unused == []


@every_language
def test_each_text_is_translated_in_all_its_forms(language):
    forms = catalogue(language).num_plurals

    empty = [
        text.singular
        for text, said in translations(language).items()
        if not all(said) or len(said) != (forms if text.plural else 1)
    ]
    fuzzy = [message.id for message in catalogue(language) if message.id and message.fuzzy]

    assert empty == []
    assert fuzzy == []
    assert not catalogue(language).obsolete


@every_language
def test_a_translation_keeps_placeholders_and_tags(language):
    changed = []
    for text, said in translations(language).items():
        wanted = sorted(PARTS.findall(text.plural or text.singular))
        of_one = sorted(PARTS.findall(text.singular))
        for position, form in enumerate(said):
            kept = sorted(PARTS.findall(form))
            of_one_too = position == 0 and len(said) > 1 and kept == of_one
            if kept != wanted and not of_one_too:
                changed.append((text.singular, form))

    assert changed == []


@every_language
def test_a_translation_ends_as_the_text_does_and_has_the_quotes_of_its_language(language):
    opening, closing = QUOTES[language]
    wrong = []
    for text, said in translations(language).items():
        for form in said:
            ends = ENDS.get(text.singular[-1], form[-1])
            quoted = form.count(opening), form.count(closing)
            if form[-1] not in ends or quoted != (text.singular.count("“"), text.singular.count("”")):
                wrong.append((text.singular, form))
            if "..." in form or form != form.strip() or "  " in form:
                wrong.append((text.singular, form))

    assert wrong == []


def test_french_has_its_apostrophes_and_spaces():
    wrong = [
        form
        for said in translations("fr").values()
        for form in said
        if "'" in form or re.search(r"[^\u00a0][:;!?»]( |$)|«[^\u00a0]", form)
    ]

    assert wrong == []


@every_language
def test_what_django_reads_is_what_translators_wrote(language):
    read = compiled(language)._catalog  # type: ignore[attr-defined]
    written: dict[object, str] = {}
    for text, said in translations(language).items():
        key = text.singular if text.context is None else f"{text.context}\x04{text.singular}"
        written |= {(key, form): one for form, one in enumerate(said)} if text.plural else {key: said[0]}

    assert {key: value for key, value in read.items() if key} == written, "run compilemessages"


@every_language
def test_words_that_django_uses_are_translated_as_django_does(language):
    """All apps share one catalogue, and the first app that has a text gives it to all of them."""
    of_django: dict[tuple[str | None, str], set[str]] = {}
    for path in Path(django.__file__).parent.glob(f"**/locale/{language}/LC_MESSAGES/django.po"):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if isinstance(message.id, str) and message.id and message.string and not message.fuzzy:
                    of_django.setdefault((message.context, message.id), set()).add(str(message.string))

    other = [
        (text.singular, said[0], of_django[text.key])
        for text, said in translations(language).items()
        if text.key in of_django and said[0] not in of_django[text.key]
    ]

    assert (None, "Home") in of_django
    assert other == []


# How Django uses it


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        pytest.param("de", "1 Datei gelöscht.", "2 Dateien gelöscht.", id="German"),
        pytest.param("fr", "1 fichier supprimé.", "2 fichiers supprimés.", id="French"),
        pytest.param("es", "Se eliminó 1 archivo.", "Se eliminaron 2 archivos.", id="Spanish"),
        pytest.param("zh-hans", "已删除 1 个文件。", "已删除 2 个文件。", id="Chinese"),
    ],
)
def test_numbers_have_the_plurals_of_the_language(language, one, two):
    def said(count: int) -> str:
        return ngettext("Deleted %(count)d file.", "Deleted %(count)d files.", count) % {"count": count}

    with override(language):
        assert (said(1), said(2)) == (one, two)
        assert said(1_000_000) == two.replace("2", "1000000")


def test_french_zero_is_singular():
    with override("fr"):
        assert (
            ngettext("Deleted %(count)d file.", "Deleted %(count)d files.", 0) % {"count": 0} == "0 fichier supprimé."
        )


@every_language
def test_what_is_named_when_django_starts_is_translated_when_it_is_shown(language):
    with override(to_language(language)):
        now = [str(Hold._meta.verbose_name), words(Reason.HELD), str(CollectionRun.State.DONE.label)]
        asked = pgettext("file", "History")
    with override("en"):
        english = [str(Hold._meta.verbose_name), words(Reason.HELD), str(CollectionRun.State.DONE.label)]

    assert english == ["hold", "a hold covers it", "done"]
    assert not set(now) & set(english)
    assert asked != "History"


def test_no_text_is_translated_once_for_all_while_a_module_is_imported():
    assert [one.where for one in found() if one.frozen] == []


@every_language
def test_django_finds_the_catalogue(language):
    assert translation(to_language(language)).gettext("Erase for good") != "Erase for good"
    assert (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo").is_file()


# What is not translated


def test_templates_have_no_words_of_their_own():
    assert [(path, words) for path, source in templates() if (words := bare(source))] == []


def test_python_shows_no_words_of_its_own():
    shown = [
        (path, module)
        for path, module in python_files("django")
        if not path.startswith(("management", "testing", "migrations"))
    ]

    assert [(path, line, said) for path, module in shown for line, said in _unmarked(module)] == []


def bare(source: str) -> list[str]:
    """Return the words of a template that are not in a tag of Django's: of its text, and of what is read out."""
    for taken in (
        r"{%\s*blocktrans.*?endblocktrans\w*\s*%}",
        r"{%\s*comment.*?endcomment\s*%}",
        r"{%\s*block bodyclass\s*%}.*?{%\s*endblock\s*%}",
        r"{#.*?#}|{%.*?%}|{{.*?}}",
        r"<code>.*?</code>",
    ):
        source = re.sub(taken, " ", source, flags=re.DOTALL)
    read_out = re.findall(r'\b(?:aria-label|title|placeholder|alt)="([^"]*)"', source)
    buttons = [tag for tag in re.findall(r"<input[^>]*>", source) if re.search(r'type="(?:submit|button)"', tag)]
    read_out += [value for tag in buttons for value in re.findall(r'\bvalue="([^"]*)"', tag)]
    text = re.sub(r"<[^>]*>", " ", source)
    return [word for part in (text, *read_out) for word in re.findall(r"[^\W\d_][\w-]*", part) if word not in NO_WORDS]


def test_words_in_a_template_are_seen():
    assert bare('<p title="Go on">{% translate "Yes" %}</p>') == ["Go", "on"]
    assert bare('<p>Stop {{ it }}<input type="submit" value="Now"></p>') == ["Stop", "Now"]
    assert bare('{% blocktranslate %}Stop {{ it }}{% endblocktranslate %}<input value="yes">') == []


def _unmarked(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the strings that are shown to people, and not given to gettext."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            shown: Sequence[ast.expr] = [each.value for each in node.keywords if each.arg in WORDED]
            if function in SAYING:
                shown = [*shown, *node.args[:1]]
            if re.fullmatch(r"messages\.\w+", function):
                shown = [*shown, *node.args[1:2]]
            for each in shown:
                said = _literal(each)
                if re.search(r"[^\W\d_]{2}", said):
                    yield node.lineno, said


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return " ".join(_literal(part) for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
