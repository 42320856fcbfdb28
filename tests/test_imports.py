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

CORE = {"core", "errors"}
INDEX = CORE | {"index", "models"}
PARTS = INDEX | {"conf", "clients"}
STORAGE = PARTS | {"assembly", "rules", "holds", "holding", "deleting", "content", "filenames", "files", "attribution"}
FACES = STORAGE | {"storage", "fields", "fieldfiles", "signals", "widgets", "policies", "collection", "state"}
FORMS = {"forms", "kept_uploads", "kinds", "local_times", "replacing"}
DIRECTION: dict[str, set[str]] = {
    "__init__": {"attribution"},
    "core": {"core"},
    "errors": {"core"},
    "index": INDEX,
    "eventstore": {"core", "eventstore"},
    "eventsourcing": CORE | {"clients", "eventstore", "eventsourcing", "streams"},
    "state": CORE | {"attribution", "conf", "content", "storage", "state"},
    "streams": FACES | {"conf", "content", "assembly", "eventstore", "streams"},
    "attribution": set(),
    "middleware": {"attribution"},
    "conf": CORE,
    "rules": CORE | {"conf"},
    "holds": INDEX,
    "holding": INDEX | {"attribution", "holds"},
    "deleting": CORE | {"policies"},
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
    "kinds": set(),
    "local_times": CORE,
    "replacing": CORE | {"fieldfiles", "local_times"},
    "kept_uploads": CORE | {"content", "fields"},
    "theming": set(),
    "widgets": CORE | {"fieldfiles", "kept_uploads", "kinds", "replacing", "theming"},
    "forms": CORE | {"fieldfiles", "replacing", "widgets"},
    "comparing": CORE | {"comparing"},
    "views": CORE | {"fieldfiles", "files"},
    "templatetags": CORE | {"local_times", "theming", "views"},
    "policies": FACES,
    "journal": CORE | {"models"},
    "referring": FACES,
    "leftovers": FACES,
    "slices": FACES | {"models", "streams"},
    "runs": FACES | {"journal", "leftovers", "models", "slices"},
    "collection": FACES | {"runs", "models"},
    "reindexing": FACES,
    "rewinding": FACES,
    "rewinding_rows": FACES | {"rewinding"},
    "checks": FACES | {"streams"},
    "apps": {"checks", "models", "signals"},
    "turns": FACES | {"runs", "models"},
    "tasks": FACES | {"runs", "turns", "models", "streams"},
    "django_tasks": FACES | {"runs", "turns", "models", "streams"},
    "workers": FACES | {"tasks", "models"},
    "progress": FACES | {"runs", "models"},
    "totals": FACES | {"models"},
    "reasons": CORE,
    "collection_words": FACES | {"local_times", "progress", "models"},
    "collection_storages": FACES | {"collection_words", "totals", "runs", "models"},
    "approving": FACES | {"runs", "models"},
    "admin_pages": set(),
    "collection_admin": FACES
    | {
        "admin_pages",
        "approving",
        "collection_storages",
        "collection_words",
        "local_times",
        "progress",
        "reasons",
        "runs",
    }
    | {"workers", "models"},
    "history_admin": FACES
    | FORMS
    | {
        "admin_pages",
        "history_admin",
        "comparing",
        "reasons",
        "referring",
        "rewinding",
        "rewinding_rows",
        "models",
        "views",
    },
    "objects_admin": FACES
    | FORMS
    | {"admin_pages", "objects_admin", "history_admin", "collection_words", "referring", "rewinding", "models"},
    "streams_admin": FACES | {"admin_pages", "eventstore", "streams", "streams_admin", "models"},
    "admin": FACES
    | {"tasks", "runs", "models", "collection_admin", "history_admin", "objects_admin"}
    | {"streams_admin"},
    "probe": FACES,
    "management": FACES
    | {"management", "eventstore", "streams", "tasks", "probe", "reindexing", "rewinding"}
    | {"rewinding_rows", "runs", "models"},
    "migrations": {"models", "fields"},
    "pytest_plugin": {"testing"},
    "testing": FACES | {"testing", "eventstore"},
}
"""What each part may import of the others when it runs. A part that is missing here is new: say where it belongs."""

PURE = {"core", "eventstore", "index/listing.py", "index/redis.py"}
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
