"""The sheet of views: what is on it, where it lies, and what is refused."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from ssl_robust import sheet as module
from ssl_robust.cli import run
from ssl_robust.settings import defaults
from ssl_robust.sheet import recipe_name, sheet

SCANS = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)


@pytest.fixture
def command(tmp_path):
    folder = tmp_path / "my scans"
    folder.mkdir()
    for number, scan in enumerate(SCANS):
        Image.fromarray(scan).save(folder / f"{number}.png")
    cache = f"data.cache_dir={tmp_path / 'cache'}"
    return ["views", "data=folder", f"data.path={folder}", cache, "data.split=all", "crops=[{n:2,size:1.0}]"]


def cells(picture, n_columns, side=16):
    """(rows, columns, side, side, 3): the scans and views of a sheet, out of their enlarged pixels."""
    zoom, cell = module._CELL // side, module._CELL + module._GAP
    pixels = np.asarray(picture)
    n_rows = (len(pixels) - 2 * module._MARGIN) // cell
    bottom = len(pixels) - module._MARGIN
    tops = [bottom - (n_rows - row) * cell for row in range(n_rows)]
    lefts = [module._MARGIN + column * cell for column in range(n_columns)]
    spans = [[pixels[top : top + module._CELL : zoom, left : left + module._CELL : zoom] for left in lefts]
             for top in tops]  # fmt: skip
    return np.array(spans)


def test_a_sheet_of_scans_and_their_views(command, tmp_path, capsys):
    out = tmp_path / "sheets" / "a"
    assert run([*command, "views=xray", "views.rotation=5", "n_scans=3", f"out={out}"]) == 0
    said = capsys.readouterr().out
    assert f"Wrote {out}.png" in said
    assert "views=xray views.rotation=5, seed=0" in said
    assert re.search(r"^  rotation: 5$", said, re.MULTILINE)
    with Image.open(f"{out}.png") as picture:
        shown = cells(picture, 3)
    assert shown.shape == (3, 3, 16, 16, 3)
    assert (shown[..., :1] == shown).all(), "grey scans stay grey"
    originals = {scan.tobytes() for scan in SCANS}
    for row in shown[..., 0]:
        assert row[0].tobytes() in originals
        assert not {row[1].tobytes(), row[2].tobytes()} & originals
    assert len({row[0].tobytes() for row in shown[..., 0]}) == 3


def test_the_seed_decides(command, tmp_path):
    pictures = []
    for seed in (0, 0, 1):
        out = tmp_path / f"{len(pictures)}.png"
        assert run([*command, f"seed={seed}", f"out={out}"]) == 0
        pictures.append(np.asarray(Image.open(out)))
    heads = module._MARGIN * 2 + module._TEXT * 2  # the title names the seed
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0][heads:], pictures[2][heads:])


def test_a_picture_is_kept_unless_it_may_be_replaced(command, tmp_path, capsys):
    out = tmp_path / "views.png"
    out.write_bytes(b"mine")
    assert run([*command, f"out={out}"]) == 2
    assert "is there already; choose another out=, or add overwrite=true" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert run([*command, f"out={out}", "overwrite=true"]) == 0
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cache", "my scans", "views.png"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["out=a.jpg"], "drawn as PNG; let it end in .png"),
        (["resume=true"], "nothing to resume; take resume= away"),
        (["n_scans=0"], "give n_scans= of at least 1"),
        (["views.flip.vertical=2"], "an option of views or crops does not fit: expected flip"),
        (["crops=[{size:1.0}]"], "write each as {n:2,size:1.0}"),
        (["crops=[{n:2,size:0.0}]"], "does not fit; write each as {n:2,size:1.0}"),
        (["views=xry"], "views=xry does not exist, did you mean xray"),
        (["views.rotatoin=3"], "views has no option views.rotatoin, did you mean views.rotation"),
    ],
)
def test_one_sentence_says_what_does_not_fit(command, tmp_path, monkeypatch, capsys, options, sentence):
    monkeypatch.chdir(tmp_path)
    assert run([*command, *options]) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir() if each.name != "cache") == ["my scans"]


def test_where_nothing_can_be_written_is_said(command, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run([*command, f"out={tmp_path / 'file' / 'views.png'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_small_views_look_small():
    scans, small = torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 24, 24)
    picture = np.asarray(sheet([scans, scans, small], "views=scan"))
    dark = (picture[-module._MARGIN - module._GAP - 100] == 0).all(-1)  # a row of pixels through the last scans
    assert dark.sum() == 2 * 128 + 96
    large = sheet([torch.rand(1, 1, 600, 600)] * 2, "a title that is as long as all the options " * 20)
    assert large.width < 600


def test_a_recipe_is_named_by_what_differs():
    recipe = defaults("views", "ultrasound")
    assert recipe_name(recipe) == "views=ultrasound"
    assert recipe_name({**recipe, "rotation": 10, "gamma": 0.1}) == "views=ultrasound views.rotation=10 views.gamma=0.1"
    changed = {**recipe, "jitter": {**recipe["jitter"], "p": 0.5}}
    assert recipe_name(changed) == "views=ultrasound views.jitter.p=0.5"
