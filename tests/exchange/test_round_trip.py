"""What is written for a tool comes back as it was, as far as the tool's format has a place for it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ssl_robust.data.manifest import build_manifest, data_settings, load_manifest
from ssl_robust.data.sources import ArraySource
from ssl_robust.exchange.datumaro import write_datumaro
from ssl_robust.exchange.fiftyone import write_fiftyone
from ssl_robust.exchange.labelstudio import write_labelstudio
from ssl_robust.exchange.stage import convert
from ssl_robust.exchange.table import write_csv
from ssl_robust.files import UserError
from ssl_robust.settings import defaults

# Format -> reader, what it reads, and the option that names the folder of scans which are only referred to.
FORMATS = {
    "csv": ("csv", "labels.csv"),
    "folder": ("csv", "labels.csv"),
    "datumaro": ("datumaro", ""),
    "fiftyone": ("fiftyone", ""),
    "labelstudio": ("labelstudio", "tasks.json"),
}
WRITERS = {"csv": write_csv, "datumaro": write_datumaro, "fiftyone": write_fiftyone, "labelstudio": write_labelstudio}


def read(to, out, **options):
    reader, name = FORMATS[to]
    return load_manifest(data_settings(reader, path=str(out / name), **options))


def check_same(before, after, to):
    """Ids, labels, patients, splits and pixels; the order too, but for Datumaro, which has a file per split."""
    columns = ["label", "patient_id", "split", *([] if to == "labelstudio" else ["true_label"])]
    first, second = before.table.set_index("sample_id"), after.table.set_index("sample_id")
    if to != "datumaro":
        assert first.index.tolist() == second.index.tolist()
    assert sorted(first.index) == sorted(second.index)
    second = second.loc[first.index]
    for column in columns:
        assert first[column].fillna("<none>").tolist() == second[column].fillna("<none>").tolist(), column
    rows = {name: row for row, name in enumerate(after.table["sample_id"])}
    for row, name in enumerate(before.table["sample_id"]):
        assert np.array_equal(before.source.read(row), after.source.read(rows[name]))


def written(to, data, out, **options):
    """What the stage leaves, without the command line, whose composing takes most of the time."""
    packaged = {**defaults("to", "_files"), **defaults("to", to)}
    config = {"data": data, "to": {**packaged, **options}, "out": str(out), "audit": None, "queue": None, "first": None}
    return convert(OmegaConf.create({**config, "resume": False, "overwrite": False}))


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("files", ["auto", "refer", "copy", "link", "png"])
def test_files(table, tmp_path, to, files):
    data, out = data_settings("csv", path=str(table)), tmp_path / "out"
    if to == "folder" and files == "refer":
        with pytest.raises(UserError, match="choose one of auto, copy, link, png"):
            written(to, data, out, files=files)
        return
    written(to, data, out, files=files)
    before, referred = load_manifest(data), files in ("auto", "refer") and to != "folder"
    after = read(to, out, **({"root": str(table.parent)} if referred else {}))
    check_same(before, after, to)
    if to in ("datumaro", "fiftyone"):
        assert after.classes == before.classes
    if referred:
        paths = dict(zip(before.table["sample_id"], before.table["path"], strict=True))
        assert dict(zip(after.table["sample_id"], after.table["path"], strict=True)) == paths
    texts = [file.read_text(encoding="utf-8") for file in out.rglob("*") if file.suffix in (".json", ".csv", ".xml")]
    assert texts
    assert str(tmp_path) not in "".join(texts), "no path of the machine"


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(("dtype", "color"), [(np.uint8, False), (np.uint8, True), (np.uint16, False)])
def test_arrays_become_pngs_without_loss(tmp_path, to, dtype, color):
    shape = (3, 8, 8, 3) if color else (3, 8, 8)
    images = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    path = tmp_path / "set.npz"
    np.savez(path, train_images=images[:2], train_labels=[1, 0], test_images=images[2:], test_labels=[1])
    data = data_settings("npz", path=str(path), classes=["well", "ill"])
    check_same(load_manifest(data), read(to, written(to, data, tmp_path / "out")), to)


def test_the_answers_of_several_annotators_come_back_as_readers(table, tmp_path):
    """Tasks as they were written, each answered by three people, as Label Studio exports them."""
    out = written("labelstudio", data_settings("csv", path=str(table)), tmp_path / "out", files="png")
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    answers = {"first": "www", "=2nd()": "wwi", "b/2.png": "wi-", "4th": "iww"}
    words = {"w": "well", "i": "ill"}
    for each in tasks:
        choices = answers[each["data"]["sample_id"]]
        each["annotations"] = [
            {"completed_by": {"id": who, "email": "who@clinic.org"}, "result": [
                {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [words[choice]]}}]}
            for who, choice in enumerate(choices, start=1) if choice != "-"
        ]  # fmt: skip
    (out / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    manifest = read("labelstudio", out)
    labels = dict(zip(manifest.table["sample_id"], manifest.table["label"].fillna("-"), strict=True))
    assert labels == {"first": "well", "=2nd()": "well", "b/2.png": "-", "4th": "well"}
    third = dict(zip(manifest.table["sample_id"], manifest.votes["annotator 3"].fillna("-"), strict=True))
    assert third == {"first": "well", "=2nd()": "ill", "b/2.png": "-", "4th": "well"}


def test_class_folders_are_read_as_such(table, tmp_path):
    data = data_settings("csv", path=str(table))
    found = load_manifest(data_settings("folder", path=str(written("folder", data, tmp_path / "out")))).table
    assert found["sample_id"].tolist() == [
        "test/ill/c d+é.png", "train/ill/a/1.png", "val/b/2.png", "val/well/b/1.jpg",
    ]  # fmt: skip
    flat = written("folder", data, tmp_path / "flat", splits=False)
    assert sorted(file.relative_to(flat).as_posix() for file in flat.rglob("*.*g")) == [
        "b/2.png", "ill/a/1.png", "ill/c d+é.png", "well/b/1.jpg",
    ]  # fmt: skip


# A bare carriage return ends a line in CSV, where Python's writer does not quote it.
NAMES = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=12)
    .map(str.strip)
    .filter(bool)
)
NASTY = ["=cmd()", 'it\'s "x"', "a\nb", "../../x", "/etc/passwd", ".hidden", "CON:1", "ä/ö", "A", "a", "<b>&amp;", "-1"]
CLASSES = ["=cmd()", 'it\'s "x"', "two\nlines", "größer", "a, b", "10", "2", "<b>&"]


@pytest.mark.parametrize("to", WRITERS)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_any_name_comes_back(tmp_path_factory, to, data):
    ids = [*NASTY, *data.draw(st.lists(NAMES, max_size=4))]
    ids = list(dict.fromkeys(ids))
    draw = st.sampled_from([None, *CLASSES])
    columns = {
        "sample_id": ids,
        "label": [data.draw(draw) for _ in ids],
        "patient_id": [data.draw(st.sampled_from([None, "=p", 'o\'q\n"r"'])) for _ in ids],
        "split": ["train"] * len(ids),
    }
    images = np.random.default_rng(len(ids)).integers(0, 256, (len(ids), 4, 4), dtype=np.uint8)
    before = build_manifest(columns, ArraySource(images, "x"), classes=None, fractions={}, split_seed=0, where="here")
    out = tmp_path_factory.mktemp("any")
    options = {"prefix": None} if to == "labelstudio" else {}
    WRITERS[to](before, out, place=out, files="auto", max_unreadable=0.0, **options)
    check_same(before, read(to, out), to)
