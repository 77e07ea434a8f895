"""The wheel carries everything, and the pipelines answer quickly."""

import os
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", target, ROOT], check=True, capture_output=True
    )
    return next(target.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_configuration_and_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*.yaml")}
    assert {f"ssl_robust/configs/{name}" for name in inside} <= names
    templates = {path.name for path in (ROOT / "ssl_robust" / "report" / "templates").iterdir()}
    assert {"base.html", "audit.html", "style.css"} <= templates
    assert {f"ssl_robust/report/templates/{name}" for name in templates} <= names
    ships = {str(path.relative_to(ROOT)) for path in (ROOT / "checkpoints").rglob("*") if path.is_file()}
    assert {f"ssl_robust/{name}" for name in ships} <= names
    assert "ssl_robust/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(wheel, tmp_path):
    """A new environment that sees the installed libraries, but not the checkout."""
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    libraries = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    packages = next(environment.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(packages)
    # Behind the wheel's own folder; .pth files in it (an editable install) are not followed.
    (packages / "libraries.pth").write_text(str(libraries) + "\n")
    code = "import ssl_robust, ssl_robust.cli; print(ssl_robust.__file__); ssl_robust.cli.main()"

    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it may name the checkout

    def start(*arguments):
        return subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path, env=own)

    shown = start("pretrain", "data=phantoms", "method=simclr", "--cfg", "job")
    assert shown.returncode == 0, shown.stderr
    assert str(packages) in shown.stdout
    assert "temperature:" in shown.stdout
    shown = start("checkpoints", "list")  # those in the wheel, not those of a checkout
    assert shown.returncode == 0, shown.stderr
    for directory in (ROOT / "checkpoints").glob("*/"):
        assert directory.name in shown.stdout
    shown = start("checkpoints", "show", "default")
    assert shown.returncode == (0 if (ROOT / "checkpoints" / "default.txt").is_file() else 2), shown.stderr
    # A stage to its end, whose page needs the templates; of ready vectors, so that it takes seconds.
    np.save(tmp_path / "E.npy", np.random.default_rng(0).normal(size=(20, 4)))
    (tmp_path / "L.csv").write_text("label\n" + "a\nb\n" * 10)
    shown = start("audit", "data=embeddings", "data.path=E.npy", "data.labels=L.csv", "out=audit")
    assert shown.returncode == 0, shown.stderr
    assert "Label audit" in (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda path: path.stem)
def test_each_pipeline_script_is_its_stage(script):
    answer = subprocess.run([sys.executable, script, "nonsense=1"], capture_output=True, text=True)
    assert answer.returncode == 2
    assert f"{script.stem} has no option nonsense" in answer.stderr


NOWHERE = ["audit", "data=npz", "data.path=nowhere.npz", "out=run"]
QUICK = [["--help"], ["pretrain", "data=npz", "data.pth=x"], ["checkpoints", "list"], NOWHERE,
         ["doctor", "--help"], ["doctor", "pretain"], ["doctor", "pretrain", "data=npz", "data.pth=x"],
         ["audit", "data=dermnet", "data.path=nowhere", "out=run"],
         ["embed", "data=folder", "data.path=.", "checkpoint=nowhere", "out=run"],
         ["audit", "data=folder", "data.path=.", "out=."]]  # fmt: skip


@pytest.mark.parametrize("arguments", QUICK)
def test_answers_come_quickly(arguments):
    """Heavy imports are lazy: measured at about 0.1 and 0.5 s; the bound leaves room for a busy machine."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "ssl_robust.cli", *arguments], capture_output=True)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("arguments", QUICK)
def test_answers_import_nothing_heavy(arguments):
    code = f"import sys; from ssl_robust.cli import run; run({arguments}); print(sorted(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = shown.splitlines()[-1]
    assert not [name for name in ("torch", "pandas", "faiss", "sklearn", "matplotlib") if f"'{name}'" in modules]
