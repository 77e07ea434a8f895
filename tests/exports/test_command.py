import pickle
import subprocess
import sys

import pytest

from ssl_robust.run import read_json, write_json


def test_the_list_of_the_runs_below_a_directory(make, said):
    directory, _ = make()
    code, out, _ = said("list", directory.parent)
    assert code == 0
    head, line = out.splitlines()
    assert head.split() == [
        "name",
        "architecture",
        "channels",
        "px",
        "method",
        "trained",
        "on",
        "scans'",
        "licence",
        "MB",
    ]
    assert line.split() == ["resnet10t", "resnet10t", "3", "32", "simclr", "1,234", "scans", "CC0", "19.7"]


def test_a_broken_card_does_not_hide_the_others(make, said):
    directory, _ = make()
    other, _ = make("resnet14t")
    (other / "encoder.json").write_text("{")
    code, out, err = said("list", directory.parent)
    assert code == 0
    assert "resnet10t" in out
    assert "left out resnet14t" in err


def test_show_has_the_card_the_transfer_and_the_text_beside_it(make, said):
    directory, _ = make()
    rows = [{"set": "blood cells", "AUROC": 0.91}, {"set": "chest", "AUROC": 0.8, "n": 40}]
    write_json(
        directory / "encoder.json",
        {**read_json(directory / "encoder.json"), "transfer": rows, "trained_on": ["a", "b"]},
    )
    (directory / "README.md").write_text("Made for tests.")
    code, out, _ = said("show", directory)
    assert code == 0
    assert "resnet10t for RGB scans of 32 px; simclr on 1,234 scans (a, b)" in out
    assert "blood cells  0.91" in out
    assert "40" in out
    assert out.rstrip().endswith("Made for tests.")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lits"], "checkpoints lits does not exist, did you mean list; expected list, show, export"),
        (["show"], "checkpoints show takes one name"),
        (["show", "defualt"], "did you mean default?"),
        (["show", "none"], "none stands for random weights and has no card"),
        (["show", "default", "x=1"], "checkpoints show has no option x; it takes none"),
        (["list", "nowhere"], "nowhere is no directory"),
        (["list", "a", "b"], "takes at most one directory, got a b"),
        (["export", "RUN"], "export needs out=DIR"),
        (["export", "RUN", "out=x", "fromat=onnx"], "has no option fromat, did you mean format; it takes out, format"),
        (["export", "RUN", "out=x", "format=onx"], "format=onx does not exist, did you mean onnx; choose one of timm"),
        (["export", "RUN", "out=x", "dtype=float8"], "dtype=float8 does not exist"),
        (
            ["export", "RUN", "out=x", "format=onnx", "dtype=float16"],
            "dtype= is read with format=timm and format=",
        ),
        (["export", "RUN", "out=x", "license=mit"], "license= is read with format=huggingface only; take it away"),
        (["export", "RUN", "out=RUN"], "exists already; choose a new directory"),
        (["export", "RUN", "out=x", "format=torchvision"], "format=torchvision is for resnet18"),
    ],
)
def test_mistakes_are_one_sentence(make, said, monkeypatch, tmp_path, words, sentence):
    monkeypatch.chdir(tmp_path)
    directory = str(make()[0]) if any("RUN" in word for word in words) else ""
    code, _, err = said(*(word.replace("RUN", directory) for word in words))
    assert code == 2
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not [place for place in tmp_path.iterdir() if place.name != "runs"]


def test_a_pickle_is_not_opened_to_be_shown(said, tmp_path):
    mark = tmp_path / "executed"

    class Trap:
        def __reduce__(self):
            return mark.write_text, ("x",)

    (tmp_path / "encoder.pth").write_bytes(pickle.dumps(Trap()))
    for words in (["show", tmp_path / "encoder.pth"], ["export", tmp_path / "encoder.pth", f"out={tmp_path / 'x'}"]):
        code, _, err = said(*words)
        assert code == 2
        assert "never loaded" in err
    assert not mark.exists()


def test_help_and_a_near_miss_of_the_command_itself(said, capsys):
    from ssl_robust.cli import run

    assert said() == said("--help")
    assert "export NAME out=DIR" in said()[1]
    assert run(["chekpoints"]) == 2
    assert "did you mean checkpoints" in capsys.readouterr().err
    run(["--help"])
    assert "checkpoints  encoders: list, show, export" in capsys.readouterr().out


def test_listing_needs_no_torch(make):
    directory, _ = make()
    code = f"import sys; from ssl_robust.cli import run; run(['checkpoints', 'list', {str(directory.parent)!r}]); \
run(['checkpoints', 'show', {str(directory)!r}]); print(sorted(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = shown.splitlines()[-1]
    assert "resnet10t for RGB" in shown
    assert not [name for name in ("torch", "timm", "numpy", "pandas", "huggingface_hub") if f"'{name}'" in modules]
