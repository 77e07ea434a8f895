"""The rooms of the package and the direction of its imports."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ssl_robust"

# From the ground up: a file imports only from its own room and from rooms above it in this list.
ROOMS = [
    "records", "processes", "stages", "files", "disk", "claim", "run", "settings", "targets", "quoting", "syntax",
    "overrides", "explain", "unused", "data", "training", "encoders", "exports", "neighbors", "exchange",
    "duplicates", "metrics", "spectra", "probes", "noise", "check", "pretrain", "transfer", "finetune", "audit",
    "sweep", "relabel", "classify", "study", "sheet", "demo", "doctor", "report", "cli",
]  # fmt: skip
STAGES = {"check", "pretrain", "transfer", "finetune", "audit"}
ONLY_CLI = {"report"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(text: str) -> set[str]:
    """Dotted names that a file's text takes in by any import, also by those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write absolute imports, so that the rooms can be read off"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def imported_rooms(file: Path) -> set[str]:
    """Rooms of the package that a file imports."""
    names = imports_of(file.read_text(encoding="utf-8"))
    return {name.split(".")[1] for name in names if name.startswith("ssl_robust.")} & set(ROOMS)


def takes(library: str, text: str) -> bool:
    return any(name.split(".")[0] == library for name in imports_of(text))


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.name != "__init__.py"], ids=lambda f: str(f.relative_to(PACKAGE))
)
def test_imports_point_down(file):
    room = room_of(file)
    assert room in ROOMS or room == "api", f"{room} has no place in the list of rooms"
    if room in ("api", "__main__"):
        return
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room in STAGES:
        allowed -= STAGES - {room}
    if room != "cli":
        allowed -= ONLY_CLI - {room}
    assert imported_rooms(file) <= allowed


def test_one_owner_of_faiss():
    assert {room_of(f) for f in FILES if takes("faiss", f.read_text(encoding="utf-8"))} == {"neighbors"}


@pytest.mark.parametrize("text", ["import faiss", "import faiss.contrib as f", "def f():\n    from faiss import knn"])
def test_every_form_of_import_counts(text):
    assert takes("faiss", text)
    assert not takes("faiss", text.replace("faiss", "faissx") + '\n"import faiss"')


def test_files_stay_short():
    too_long = {str(f): n for f in FILES if (n := len(f.read_text(encoding="utf-8").splitlines())) > 300}
    assert not too_long
