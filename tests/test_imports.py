"""Imports point one way, and the core knows no Django."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import consistent_s3

PACKAGE = Path(consistent_s3.__file__).parent

CORE = {"core"}
INDEX = CORE | {"index", "models"}
PARTS = INDEX | {"conf", "clients"}
STORAGE = PARTS | {"assembly", "rules", "holds", "holding", "content", "filenames", "files", "attribution", "version"}
FACES = STORAGE | {"storage", "fields", "fieldfiles", "signals", "widgets", "policies", "collection", "state"}
DIRECTION: dict[str, set[str]] = {
    "__init__": {"attribution"},
    "core": CORE,
    "index": INDEX,
    "eventstore": CORE | {"eventstore"},
    "state": CORE | {"state"},
    "attribution": set(),
    "conf": CORE,
    "rules": CORE | {"conf"},
    "holds": INDEX,
    "holding": INDEX | {"attribution", "holds"},
    "clients": CORE,
    "content": CORE | {"attribution"},
    "filenames": CORE,
    "assembly": PARTS,
    "models": CORE,
    "signals": set(),
    "files": CORE,
    "storage": STORAGE,
    "fieldfiles": CORE | {"files"},
    "fields": CORE | {"fieldfiles", "files", "conf", "rules", "signals", "attribution"},
    "widgets": CORE | {"fieldfiles"},
    "comparing": CORE | {"comparing"},
    "views": CORE | {"fieldfiles", "files"},
    "templatetags": CORE,
    "policies": FACES,
    "journal": CORE | {"models"},
    "leftovers": FACES,
    "runs": FACES | {"journal", "leftovers", "models"},
    "collection": FACES | {"runs", "models"},
    "reindexing": FACES,
    "checks": FACES,
    "apps": {"checks", "models", "signals"},
    "turns": FACES | {"runs", "models"},
    "tasks": FACES | {"runs", "turns", "models"},
    "django_tasks": FACES | {"runs", "turns", "models"},
    "workers": FACES | {"tasks", "models"},
    "progress": FACES | {"runs", "models"},
    "totals": FACES | {"models"},
    "reasons": CORE,
    "collection_words": FACES | {"progress", "models"},
    "collection_storages": FACES | {"collection_words", "totals", "runs", "models"},
    "approving": FACES | {"runs", "models"},
    "collection_admin": FACES
    | {"approving", "collection_storages", "collection_words", "progress", "reasons", "runs", "workers", "models"},
    "history_admin": FACES | {"history_admin", "comparing", "reasons", "models"},
    "admin": FACES | {"tasks", "runs", "models", "collection_admin", "history_admin"},
    "probe": FACES,
    "management": FACES | {"management", "tasks", "probe", "reindexing", "runs", "models"},
    "migrations": {"models", "fields"},
    "pytest_plugin": {"testing"},
    "testing": FACES | {"testing", "eventstore"},
}
"""What each part may import of the others when it runs. A part that is missing here is new: say where it belongs."""

PURE = {"core", "eventstore", "index/listing.py", "index/redis.py", "state.py"}
"""What imports no Django."""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it, but not those that only a type checker sees."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "consistent_s3":
                yield from (f"consistent_s3.{name.name}" for name in node.names)
            else:
                yield node.module or ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_lies_below_it(path: Path) -> None:
    allowed = DIRECTION[part_of(path)]

    own = [name.split(".") for name in imports(path) if name.startswith("consistent_s3")]
    wrong = {".".join(name) for name in own if len(name) > 1 and name[1] not in allowed}

    assert wrong <= {"consistent_s3.__version__"}


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if any(path.is_relative_to(PACKAGE / pure) for pure in PURE)],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_pure_module_imports_no_django_and_no_face(path: Path) -> None:
    foreign = {name.partition(".")[0] for name in imports(path)}

    assert not foreign & {"django", "storages", "celery"}


def test_only_one_module_of_the_core_knows_boto3() -> None:
    knowing = {
        path.name
        for path in (PACKAGE / "core").glob("*.py")
        if {name.partition(".")[0] for name in imports(path)} & {"boto3", "botocore", "urllib3"}
    }

    assert knowing == {"s3.py"}


WITHOUT_DJANGO = """
import sys, importlib, importlib.abc

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {"django", "storages", "celery", "moto"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
print(len(sys.argv[1:]))
"""


def test_pure_modules_can_be_imported_without_django() -> None:
    pure = [path for path in modules() if any(path.is_relative_to(PACKAGE / part) for part in PURE)]
    names = [
        ".".join(["consistent_s3", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        for path in pure
    ]

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DJANGO, *names], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stderr, done.stdout) == ("", f"{len(names)}\n")
    assert {"consistent_s3.core.archive", "consistent_s3.core.s3", "consistent_s3.index.listing"} <= set(names)
