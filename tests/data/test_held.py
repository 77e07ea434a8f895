import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.scanset import open_scans

VALUES = np.random.default_rng(0).integers(0, 1000, (8, 8, 4)).astype(np.int16)


@pytest.fixture
def root(tmp_path):
    """Four volumes of two classes, and two pictures."""
    root = tmp_path / "scans"
    for label, names in (("ill", ("smith_a", "smith_b")), ("well", ("jones_a", "other"))):
        (root / label).mkdir(parents=True)
        for name in names:
            nibabel.save(nibabel.Nifti1Image(VALUES, np.eye(4)), root / label / f"{name}.nii.gz")
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / label / "picture.png")
    return root


def load(root, name="folder", **options):
    return load_manifest(data_settings(name, path=str(root), **options))


def test_slices_of_a_volume_stay_together(root, capsys):
    manifest = load(root, step=2, body=0.1)
    assert manifest.table["sample_id"].tolist()[:3] == [
        "ill/picture.png",
        "ill/smith_a.nii.gz#z=0",
        "ill/smith_a.nii.gz#z=2",
    ]
    assert len(set(manifest.groups())) == 6, "four volumes and two pictures"
    table = manifest.table.assign(file=manifest.table["sample_id"].str.partition("#")[0])
    assert (table.groupby("file")["split"].nunique() == 1).all()
    assert not manifest.personal, "the name of a file stands in for a patient, and is no secret"
    assert (
        "Note: files that hold several scans and name no patient (4) count as one patient each"
        in capsys.readouterr().err
    )


def test_a_known_patient_wins_and_others_keep_their_file(root, capsys):
    manifest = load(root, patient_pattern="(smith|jones)", ids="plain")
    patients = manifest.table.set_index("sample_id")["patient_id"]
    assert patients["ill/smith_a.nii.gz#z=0"] == patients["ill/smith_b.nii.gz#z=3"] == "smith"
    assert (patients[[f"well/other.nii.gz#z={k}" for k in range(4)]] == "well/other.nii.gz").all()
    assert patients.isna().sum() == 2
    assert "several scans" not in capsys.readouterr().err


def test_a_table_may_name_volumes_slices_and_patients(root):
    lines = [
        "ill/smith_a.nii.gz,p1,x",
        "ill/smith_b.nii.gz#z=1,p1,x",
        "well/other.nii.gz#z=2,,y",
        "well/picture.png,,y",
    ]
    (root / "t.csv").write_text("path,patient_id,label\n" + "\n".join(lines))
    manifest = load(root / "t.csv", "csv", step=3)
    assert manifest.table["sample_id"].tolist() == [
        "ill/smith_a.nii.gz#z=0", "ill/smith_a.nii.gz#z=3", "ill/smith_b.nii.gz#z=1", "well/other.nii.gz#z=2",
        "well/picture.png",
    ]  # fmt: skip
    assert manifest.table["patient_id"].fillna("-").tolist() == ["p1", "p1", "p1", "well/other.nii.gz", "-"]
    assert manifest.table["label"].tolist() == ["x", "x", "x", "y", "y"]
    (root / "u.csv").write_text("path\nill/smith_a.nii.gz\n")
    assert load(root / "u.csv", "csv").groups().tolist() == [0] * 4


def test_slices_reach_the_scans_of_a_stage(root, cache):
    scans = open_scans(data_settings("folder", path=str(root), window=[0, 999], cache_dir=str(cache)))
    row = scans.manifest.table["sample_id"].tolist().index("ill/smith_a.nii.gz#z=1")
    expected = np.rint(VALUES[::-1, ::-1, 1].T * (65535 / 999))
    assert np.abs(scans.pixels[row, ..., 0] - expected).max() <= 1


def test_a_damaged_volume_is_one_unreadable_scan(root, cache):
    (root / "ill" / "smith_a.nii.gz").write_bytes(b"no volume")
    scans = open_scans(data_settings("folder", path=str(root), max_unreadable=0.2, cache_dir=str(cache)))
    assert scans.unreadable == [{"sample_id": "ill/smith_a.nii.gz", "reason": "is no NIfTI file"}]


@pytest.mark.parametrize("body", [0.0, 0.1])
def test_a_volume_that_is_cut_short_says_so(root, cache, body):
    path = root / "ill" / "smith_a.nii.gz"
    path.write_bytes(path.read_bytes()[:-30])
    scans = open_scans(data_settings("folder", path=str(root), max_unreadable=0.3, body=body, cache_dir=str(cache)))
    assert len(scans.unreadable) == (4 if body == 0 else 1)
    assert {each["reason"] for each in scans.unreadable} == {
        "Compressed file ended before the end-of-stream marker was reached"
    }
