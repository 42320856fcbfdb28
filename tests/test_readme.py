"""What the README shows can be pasted, and what it names is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.programs import ROOT

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LINKS = sorted(set(re.findall(r"\]\(([^)\s]+)\)", README)))


def anchors() -> set[str]:
    """Return what headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def imported() -> list[tuple[str, str]]:
    """Return the modules and names of ours that the blocks import."""
    nodes = [node for block in PYTHON for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    return sorted(
        {(str(node.module), name.name) for node in nodes for name in node.names if "consistent_s3" in str(node.module)}
    )


def test_there_is_something_to_look_at():
    assert len(PYTHON) > 20
    assert len(imported()) > 10
    assert len(LINKS) > 20


@pytest.mark.parametrize(("module", "name"), imported(), ids=str)
def test_what_is_imported_is_there(module, name):
    namespace: dict[str, object] = {}
    exec(f"from {module} import {name}", namespace)
    assert name in namespace


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_somewhere(link):
    if link.startswith("#"):
        assert link[1:] in anchors()
    elif not link.startswith("https://"):
        assert Path(ROOT, link).exists()


def test_every_verb_has_the_options_that_are_named():
    table = README.split("### Commands")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \|(.+)$", table, re.MULTILINE)

    for verb, said in rows:
        command = [sys.executable, "-m", "django", "consistent_s3", verb, "--help"]
        told = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={"DJANGO_SETTINGS_MODULE": "tests.settings"},
        ).stdout
        for option in re.findall(r"`(--[a-z-]+)`", said):
            assert option in told, f"{verb} {option}"
    assert {verb for verb, _ in rows} == {path.stem.replace("_", "-") for path in verbs()}


def verbs() -> list[Path]:
    every = sorted(Path(ROOT, "consistent_s3/management/verbs").glob("[a-z]*.py"))
    return [path for path in every if not path.stem.startswith("events_")]


def test_every_error_that_is_named_can_be_imported_from_where_it_is_said():
    table = README.split("### Errors")[1].split("\n### ")[0]
    rows = re.findall(r"^\| (`[A-Z]\w+Error`.*?) \|(.+)$", table, re.MULTILINE)
    places = [vars(import_module(module)) for module in ("consistent_s3.errors", "consistent_s3.streams")]

    named = {name for row, _ in rows for name in re.findall(r"`(\w+)`", row)}
    assert {name for name in named if not any(name in place for place in places)} == set()
    public = {name for name in import_module("consistent_s3.errors").__all__ if name.endswith("Error")}
    base = {"ConsistentS3Error", "StoreError", "InvalidNameError"}
    assert public - named - base == {"UnsupportedByStoreError", "UploadTooSlowError"}
