import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import build_manifest, data_settings, load_manifest
from ssl_robust.data.sources import ArraySource, FileSource
from ssl_robust.exchange.images import place_images
from ssl_robust.run import UserError


def of_arrays(images, ids):
    source = ArraySource(np.asarray(images), "x")
    return build_manifest({"sample_id": ids}, source, classes=None, fractions={"val": 0, "test": 0}, split_seed=0,
                          where="here")  # fmt: skip


def placed(manifest, out, how="auto", limit=0.0, **options):
    return place_images(manifest, out, how, folders=["images"] * len(manifest), limit=limit, **options)


def test_names_that_a_file_system_takes_for_one_are_told_apart(tmp_path):
    ids = ["x", "X", "x.png", "x:", "x_", "../x", "train/x", "images/x"]
    found = placed(of_arrays(np.zeros((8, 4, 4), np.uint8), ids), tmp_path)
    assert found.root is None
    assert found.paths == [
        "images/x.png", "images/X-2.png", "images/x-3.png", "images/x_.png", "images/x_-2.png", "images/_./x.png",
        "images/train/x.png", "images/x-4.png",
    ]  # fmt: skip
    assert sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.png")) == sorted(found.paths)


def test_hidden_names_stay_hidden(table, tmp_path):
    options = {"path": str(table), "ids": "hashed", "ids_folder": str(tmp_path / "salt")}
    manifest = load_manifest(data_settings("csv", **options))
    for how in ("auto", "copy", "link"):
        found = placed(manifest, tmp_path / how, how)
        names = [name.split("/")[1].partition(".")[0] for name in found.paths]
        assert names == manifest.table["sample_id"].tolist()
        assert {name.rpartition(".")[2] for name in found.paths} == {"png", "jpg"}
    with pytest.raises(UserError, match=r"to.files=refer would show file names that the ids hide"):
        placed(manifest, tmp_path / "refer", "refer")


def test_links_are_the_same_file(table, tmp_path):
    manifest = load_manifest(data_settings("csv", path=str(table)))
    found = placed(manifest, tmp_path / "out", "link")
    first = (tmp_path / "out" / found.paths[0]).stat()
    assert first.st_ino == (table.parent / "a/1.png").stat().st_ino
    with pytest.raises(UserError, match=r"cannot be put into the new folder .*; to.files=copy copies it"):
        placed(manifest, tmp_path / "out", "link")


class Decoded(FileSource):
    """Files of a kind that other tools do not open, or that hold several scans; read without a decoder."""

    def read_together(self, rows):
        return [np.full((4, 4), row, np.uint8) for row in rows]


def test_scans_that_share_a_file_or_no_tool_opens_become_pngs(tmp_path):
    for files, names in ((["a.tif"] * 2, ["a.tif#page=0", "a.tif#page=1"]), (["x.dcm", "1.jpg"], ["x.dcm", "1.jpg"])):
        source = Decoded([tmp_path / file for file in files], names)
        manifest = build_manifest({"sample_id": names}, source, classes=None, fractions={"val": 0, "test": 0},
                                  split_seed=0, where="here")  # fmt: skip
        found = placed(manifest, tmp_path / names[0])
        assert all(path.endswith(".png") for path in found.paths)
        assert [np.asarray(Image.open(tmp_path / names[0] / path))[0, 0] for path in found.paths] == [0, 1]
    frames = of_arrays(np.zeros((2, 4, 4), np.uint8), ["a", "b"])
    for how in ("refer", "copy", "link"):
        with pytest.raises(UserError, match=f"to.files={how} needs one file per scan.*; take to.files=png"):
            placed(frames, tmp_path / "x", how)


def test_unreadable_scans_are_left_out_or_stop(table, tmp_path, capsys):
    (table.parent / "b/1.jpg").write_bytes(b"no image")
    manifest = load_manifest(data_settings("csv", path=str(table)))
    found = placed(manifest, tmp_path / "out", "png", limit=0.5)
    assert found.manifest.table["sample_id"].tolist() == ["first", "b/2.png", "4th"]
    assert found.paths == ["images/a/1.png", "images/b/2.png", "images/c d+é.png"]
    assert "left out 1 of 4 scans cannot be read: =2nd() (cannot identify" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"1 of 4 scans cannot be read: .*data.max_unreadable=0.1"):
        placed(manifest, tmp_path / "again", "png", limit=0.1)


def test_what_no_png_holds_is_refused(tmp_path):
    with pytest.raises(UserError, match="in colour with 16 bits"):
        placed(of_arrays(np.zeros((1, 4, 4, 3), np.uint16), ["a"]), tmp_path)


def test_choices_are_named(table, tmp_path):
    manifest = load_manifest(data_settings("csv", path=str(table)))
    with pytest.raises(
        UserError, match=r"to.files=cpy does not exist here; choose one of auto, refer, copy, link, png"
    ):
        placed(manifest, tmp_path, "cpy")


def test_files_of_several_folders_are_copied(table, tmp_path):
    """A table may name files above its own folder, where a tool that is given that folder would not find them."""
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "above.png")
    table.write_text("path\n../above.png\na/1.png\n")
    manifest = load_manifest(data_settings("csv", path=str(table), root=str(tmp_path)))
    assert placed(manifest, tmp_path / "out").paths == ["images/above.png", "images/my scans/a/1.png"]
    with pytest.raises(UserError, match="files of several folders"):
        placed(manifest, tmp_path / "out", "refer")
