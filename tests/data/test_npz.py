import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data import npz_source
from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError

SIZES = {"train": 5, "val": 2, "test": 3}
DRAWS = np.random.default_rng(0)
IMAGES = {f"{split}_images": DRAWS.integers(0, 256, (n, 8, 8, 3), np.uint8) for split, n in SIZES.items()}
LABELS = {f"{split}_labels": np.arange(n, dtype=np.uint8)[:, None] % 3 for split, n in SIZES.items()}


def load(folder, arrays, compressed=True, **options):
    path = folder / "set.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return load_manifest(data_settings("npz", path=str(path), **options))


@pytest.mark.parametrize("compressed", [True, False])
def test_ids_labels_splits_and_pixels(tmp_path, compressed):
    manifest = load(tmp_path, IMAGES | LABELS, compressed)
    assert manifest.table["sample_id"].tolist()[:6] == [*(f"train/{row}" for row in range(5)), "val/0"]
    assert manifest.classes == ("0", "1", "2")
    assert manifest.codes().tolist() == [0, 1, 2, 0, 1, 0, 1, 0, 1, 2]
    assert [len(manifest.rows(split)) for split in SIZES] == [5, 2, 3]
    whole = np.concatenate(list(IMAGES.values()))
    for row in [*range(10), 3, 9, 0, 6, 4]:
        assert (manifest.source.read(row) == whole[row]).all()


def test_readers_in_the_index(tmp_path):
    lines = "".join(f"{split},{row},x,{'y' if row else 'x'},x\n" for split, n in SIZES.items() for row in range(n))
    (tmp_path / "i.csv").write_text(f"split,row,r1,r2,r3\n{lines}")
    options = {"index": str(tmp_path / "i.csv"), "columns": {"label": ["r1", "r2"]}}
    manifest = load(tmp_path, IMAGES | LABELS, **options)
    assert manifest.codes().tolist() == [0, -1, -1, -1, -1, 0, -1, 0, -1, -1]
    assert manifest.votes["r2"].tolist()[:2] == ["x", "y"]


def test_labels_may_be_absent_flat_or_negative(tmp_path):
    assert load(tmp_path, IMAGES).classes == ()
    flat = {name: values[:, 0].astype(np.int64) for name, values in LABELS.items()}
    flat["train_labels"][1] = -1
    assert load(tmp_path, IMAGES | flat).codes().tolist()[:3] == [0, -1, 2]
    named = load(tmp_path, IMAGES | LABELS, classes=["x", "y", "z"])
    assert named.table["label"].tolist()[:3] == ["x", "y", "z"]


def test_patients_from_arrays(tmp_path):
    manifest = load(tmp_path, {**IMAGES, "groups": np.array([7, 7, 8, 8, 9, 1, 1, 2, 2, 2])})
    assert len(set(manifest.groups())) == 5
    shared = {**IMAGES, "groups": np.array([7, 7, 8, 8, 9, 1, 7, 2, 2, 8])}
    with pytest.raises(UserError, match=r"set.npz: 2 of 5 patients have scans in more than one split"):
        load(tmp_path, shared)
    assert len(load(tmp_path, shared, split_leaks="allow")) == 10
    with pytest.raises(UserError, match=r"data.split_leaks=yes is not known"):
        load(tmp_path, shared, split_leaks="yes")
    manifest = load(tmp_path, {**IMAGES, "train_groups": np.array(["a", "a", "b", "b", "b"])})
    assert len(set(manifest.groups())) == 2 + 5
    with pytest.raises(UserError, match=r"groups has 4 entries for 10 scans"):
        load(tmp_path, {**IMAGES, "groups": np.arange(4)})


def test_an_index_is_matched_by_split_and_row_or_line_by_line(tmp_path):
    index = tmp_path / "index.csv.gz"
    ids = [(split, row) for split, n in SIZES.items() for row in range(n)]
    table = pd.DataFrame(ids, columns=["split", "row"]).assign(person=[f"p{i}" for i in range(10)], path="x.png")
    table.sample(frac=1, random_state=0).to_csv(index, index=False)
    options = {"index": str(index), "columns": {"patient_id": "person"}}
    manifest = load(tmp_path, IMAGES | LABELS, **options)
    assert manifest.table["patient_id"].tolist() == table["person"].tolist()
    assert manifest.table["path"].tolist() == ["x.png"] * 10
    table.drop(columns=["split", "row"]).to_csv(index, index=False)
    assert load(tmp_path, IMAGES, **options).table["patient_id"].tolist() == table["person"].tolist()


def test_an_index_that_names_the_classes_is_pointed_at(tmp_path, capsys):
    index = tmp_path / "index.csv"
    codes = np.concatenate([values[:, 0] for values in LABELS.values()])
    table = pd.DataFrame({"label": codes, "class": [["benign", "malignant", "normal"][code] for code in codes]})
    table.to_csv(index, index=False)
    assert load(tmp_path, IMAGES | LABELS, index=str(index)).classes == ("0", "1", "2")
    assert "column class of index.csv names the classes; data.columns.label=class shows" in capsys.readouterr().err
    named = load(tmp_path, IMAGES | LABELS, index=str(index), columns={"label": "class"})
    assert named.classes == ("benign", "malignant", "normal")
    table["class"] = table["class"].iloc[::-1].tolist()  # two names for one code
    table.to_csv(index, index=False)
    load(tmp_path, IMAGES | LABELS, index=str(index))
    assert capsys.readouterr().err == ""


def test_wrong_indices_are_refused(tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("split,row,person\n" + "train,0,a\n" * 2, encoding="utf-8")
    with pytest.raises(UserError, match=r"train/0 .* stands there twice"):
        load(tmp_path, IMAGES, index=str(index))
    index.write_text("split,row,person\ntrain,0,a\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"no line for train/1 .* and 8 other"):
        load(tmp_path, IMAGES, index=str(index))
    index.write_text("person\na\nb\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"2 lines for 10 scans"):
        load(tmp_path, IMAGES, index=str(index))
    index.write_text("person_id\n" + "a\n" * 10, encoding="utf-8")
    with pytest.raises(UserError, match=r"no column 'persn_id'.*is it 'person_id'"):
        load(tmp_path, IMAGES, index=str(index), columns={"patient_id": "persn_id"})


def test_several_labels_need_a_task(tmp_path):
    several = {"train_images": IMAGES["train_images"], "train_labels": np.eye(5, 14, dtype=np.uint8)}
    with pytest.raises(UserError, match=r"14 labels per scan; choose one with data.task"):
        load(tmp_path, several)
    assert load(tmp_path, several, task=2).codes().tolist() == [0, 0, 1, 0, 0]
    with pytest.raises(UserError, match=r"data.task=14 does not exist"):
        load(tmp_path, several, task=14)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES["train_images"]}, "no array train_images, .* but images"),
        ({"train_images": np.zeros((2, 8, 8))}, "train_images are float64"),
        ({"train_images": np.zeros((2, 8, 8, 8), np.uint8)}, r"shape \(2, 8, 8, 8\)"),
        ({"train_images": np.asfortranarray(IMAGES["train_images"])}, "Fortran order"),
        ({**IMAGES, "train_labels": np.zeros(4, np.uint8)}, "train_labels has 4 entries for 5 scans"),
        ({**IMAGES, "train_labels": np.full(5, 0.5)}, "train_labels are fractions"),
        ({**IMAGES, "train_labels": np.array([{}] * 5)}, "train_labels cannot be read"),
    ],
)
def test_other_layouts_are_refused(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, arrays)


def test_a_damaged_file_is_named(tmp_path):
    load(tmp_path, IMAGES)
    path = tmp_path / "set.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"set.npz is not a complete npz file"):
        load_manifest(data_settings("npz", path=str(path)))


def npz_of(folder, **members):
    """A file whose members are given as bytes."""
    with zipfile.ZipFile(folder / "set.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return folder / "set.npz"


def header(shape, dtype="|u1"):
    """An array's beginning that claims a shape, without the numbers."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "shape", [(10**12, 64, 64), (10**18, 10**9, 10**9), (-1, 8, 8), (3, 8, 8)], ids=["TB", "absurd", "negative", "more"]
)
def test_a_header_that_claims_more_than_there_is(tmp_path, shape):
    path = npz_of(tmp_path, train_images=header(shape) + bytes(64))
    with pytest.raises(UserError, match=r"train_images says that it has the shape .*, but holds 64 bytes; save it"):
        load_manifest(data_settings("npz", path=str(path)))


@pytest.mark.parametrize("name", ["train_labels", "train_groups", "groups"])
@pytest.mark.parametrize("dtype", ["<i8", "<U1000000"])
def test_labels_that_claim_more_than_there_is(tmp_path, name, dtype):
    members = {"train_images": header((1, 8, 8)) + bytes(64), name: header((10**14,), dtype)}
    with pytest.raises(UserError, match=rf"{name} says that it has the shape"):
        load_manifest(data_settings("npz", path=str(npz_of(tmp_path, **members))))


def test_a_pickle_in_an_array_is_never_run(tmp_path):
    mark = tmp_path / "executed"

    class Trap:
        def __reduce__(self):
            return mark.write_text, ("x",)

    for name in ("train_images", "train_labels", "groups"):
        load_arrays = {**IMAGES, name: np.array([Trap()] * 5, dtype=object)}
        with pytest.raises(UserError, match=name):
            load(tmp_path, load_arrays)
    assert not mark.exists()


def test_a_bomb_is_refused_unless_it_is_not_compressed(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_source, "_SMALL", 2**16)
    arrays = {"train_images": np.zeros((500, 32, 32), np.uint8)}
    with pytest.raises(UserError, match=r"set\.npz unpacks [\d,]+ bytes to 512,128, as no scans do; .*numpy\.savez"):
        load(tmp_path, arrays)
    assert len(load(tmp_path, arrays, compressed=False)) == 500


def test_images_of_one_pixel_are_none(tmp_path):
    with pytest.raises(UserError, match="are of 1 x 1 px, which are no scans"):
        load(tmp_path, {"train_images": np.zeros((9, 1, 1), np.uint8)})
