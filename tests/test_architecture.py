"""The rooms of the package and the direction of its imports."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ssl_robust"

# From the ground up: a file imports only from its own room and from rooms above it in this list.
ROOMS = [
    "records", "files", "claim", "run", "settings", "overrides", "data", "encoders", "neighbors", "metrics", "probes",
    "noise", "training", "check", "pretrain", "finetune", "audit", "relabel", "classify", "study", "demo",
    "report", "cli",
]  # fmt: skip
STAGES = {"check", "pretrain", "finetune", "audit"}
ONLY_CLI = {"report"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    """Rooms of the package that a file names in any import, also in those inside functions."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write absolute imports, so that the rooms can be read off"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("ssl_robust.")}
    return rooms & set(ROOMS)


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
    importers = {f.name for f in FILES if "import faiss" in f.read_text(encoding="utf-8")}
    assert importers <= {"neighbors.py"}


def test_files_stay_short():
    too_long = {str(f): n for f in FILES if (n := len(f.read_text(encoding="utf-8").splitlines())) > 300}
    assert not too_long
