"""What headers say is looked up once; nobody is named in what is kept of it, and nothing damaged is believed."""

import os
import shutil
import stat
import sys

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from ssl_robust.data import headers
from ssl_robust.data.manifest import data_settings, load_manifest

PAGES = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (1, 2, 3)]


@pytest.fixture
def root(tmp_path):
    """Two DICOM files, of whom their headers name the patient, a TIFF of three pages and a PNG."""
    root = tmp_path / "scans"
    root.mkdir()
    for name in ("a", "b"):
        shutil.copy(str(get_testdata_file("CT_small.dcm")), root / f"{name}.dcm")
    PAGES[0].save(root / "pages.tif", save_all=True, append_images=PAGES[1:])
    PAGES[0].save(root / "one.png")
    return root


@pytest.fixture
def load(root, monkeypatch):
    """Read the manifest; returns it and the names of the files that were looked into."""
    looked, real = [], headers.format_of
    monkeypatch.setattr(headers, "format_of", lambda file: looked.append(file.name) or real(file))

    def load(**options):
        looked.clear()
        manifest = load_manifest(data_settings("folder", path=str(root), **options))
        return manifest, sorted(looked)

    return load


def same(one, other):
    assert one.table.equals(other.table)
    assert one.fingerprint == other.fingerprint
    assert one.personal == other.personal


def test_a_second_look_opens_no_file(load, capsys):
    first, looked = load()
    assert looked == ["a.dcm", "b.dcm", "pages.tif"]
    assert len(first) == 6
    assert first.groups()[0] == first.groups()[1], "one patient"
    told = capsys.readouterr().err
    second, looked = load(window="full")  # which no header hangs on
    assert looked == []
    same(first, second)
    assert capsys.readouterr().err == told


def test_what_holds_no_picture_is_looked_into_once(load, root, capsys):
    shutil.copy(str(get_testdata_file("rtplan.dcm")), root / "plan.dcm")
    first, looked = load()
    assert "plan.dcm" in looked
    second, looked = load()
    assert looked == []
    assert first.passed_over == second.passed_over == {"RT Plan": 1}
    assert capsys.readouterr().err.count("1 RT Plan") == 2


def test_a_run_that_keeps_nobody_takes_nothing_away(load):
    load()
    assert load(ids="plain")[1] == ["a.dcm", "b.dcm", "pages.tif"]
    assert load()[1] == []


def test_a_part_that_a_table_names_stays_whatever_the_rules_are(tmp_path):
    for name in ("v", "w"):
        nibabel.Nifti1Image(np.zeros((4, 4, 5), np.uint8), np.eye(4)).to_filename(tmp_path / f"{name}.nii")
    (tmp_path / "t.csv").write_text("path,label\nv.nii#z=3,x\nw.nii#z=3,y\n")
    manifest = load_manifest(data_settings("csv", path=str(tmp_path / "t.csv"), body=0.5))
    assert manifest.table["label"].tolist() == ["x", "y"]


def test_new_and_changed_files_are_looked_into_and_lost_ones_disappear(load, root):
    load()
    shutil.copy(root / "a.dcm", root / "c.dcm")
    PAGES[0].save(root / "pages.tif", save_all=True, append_images=PAGES[1:2])
    (root / "b.dcm").unlink()
    grown, looked = load()
    assert looked == ["c.dcm", "pages.tif"]
    assert len(grown) == 5
    assert len(set(grown.groups()[grown.table["patient_id"].notna().to_numpy()])) == 2, (
        "the new file's patient is known"
    )
    assert load()[1] == []


def test_other_rules_are_looked_up_anew_and_both_are_kept(load):
    load()
    every_second, looked = load(frames=2)
    assert looked == ["a.dcm", "b.dcm", "pages.tif"]
    assert len(every_second) == 5
    assert load(frames=2)[1] == load()[1] == []


def test_a_file_that_could_not_be_read_is_tried_again(load, root):
    whole = (root / "a.dcm").read_bytes()
    (root / "a.dcm").write_bytes(b"no scan")
    load()
    assert load()[1] == ["a.dcm"]
    (root / "a.dcm").write_bytes(whole)
    assert load()[0].groups()[:2].tolist() == [0, 0]


def test_nobody_is_named_in_what_is_kept(load, root, cache):
    load()
    (file,) = cache.iterdir()
    with np.load(file, allow_pickle=False) as arrays:
        values = "\n".join(str(arrays[name].tolist()) for name in arrays.files) + arrays["parts"].tobytes().decode()
    for secret in (
        "1CT1",
        "CompressedSamples",
        "pages.tif",
        "a.dcm",
        str(root),
        (root / ".ssl-robust-salt").read_text(),
    ):
        assert secret not in values
    assert "page=2" in values
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_plain_ids_stay_readable_and_what_names_a_patient_is_not_kept(load, root):
    for _ in range(2):
        manifest, looked = load(ids="plain")
        assert manifest.table["patient_id"].iloc[0].startswith("1CT1")
    assert looked == ["a.dcm", "b.dcm"]
    assert not (root / ".ssl-robust-salt").exists()
    load()
    assert load(ids="plain")[0].table["patient_id"].iloc[0].startswith("1CT1")


def test_another_salt_makes_other_patients(load, root):
    load()
    (root / ".ssl-robust-salt").unlink()
    shutil.copy(root / "a.dcm", root / "c.dcm")
    manifest, looked = load()
    assert looked == ["a.dcm", "b.dcm", "c.dcm"]
    assert len(set(manifest.groups()[:3])) == 1


HARM = {
    "empty": lambda file: file.write_bytes(b""),
    "no archive": lambda file: file.write_bytes(b"PK" * 99),
    "another": lambda file: np.savez(file, names=np.arange(3)),
    "an array": lambda file: np.save(file.with_suffix(".npy"), np.arange(3)) or file.with_suffix(".npy").replace(file),
    "numbers": lambda file: np.savez(file, **dict.fromkeys(headers._ARRAYS, np.array(3))),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-40]),
    "a bit turned": lambda file: file.write_bytes(file.read_bytes().replace(b"page=1", b"page\n1")),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_is_damaged_is_looked_up_again(load, cache, harm):
    first, looked = load()
    (file,) = cache.iterdir()
    harm(file)
    second, again = load()
    assert again == looked
    same(first, second)
    assert load()[1] == []


def test_a_killed_writer_leaves_what_was_there(load, root, cache, monkeypatch):
    load()
    shutil.copy(root / "a.dcm", root / "c.dcm")
    real = np.savez

    def killed(path, *given, **arrays):
        real(path, *given, **arrays)
        os.truncate(path, 100)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "savez", killed)
        load()
    assert len(list(cache.iterdir())) == 1
    manifest, looked = load()
    assert looked == ["c.dcm"]
    assert len(manifest) == 7


def test_a_folder_that_cannot_be_written_costs_time_alone(load, cache):
    first, _ = load()
    other, looked = load(cache_dir=str(next(cache.iterdir()) / "below_a_file"))
    assert looked == ["a.dcm", "b.dcm", "pages.tif"]
    same(first, other)


def test_a_table_that_names_a_file_many_times_has_it_opened_once(load, root, monkeypatch):
    (root / "t.csv").write_text("path\npages.tif#page=0\npages.tif#page=2\n")
    looked, real = [], headers.format_of
    monkeypatch.setattr(headers, "format_of", lambda file: looked.append(file.name) or real(file))
    assert len(load_manifest(data_settings("csv", path=str(root / "t.csv")))) == 2
    assert looked == ["pages.tif"]
