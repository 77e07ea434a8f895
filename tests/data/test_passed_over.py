"""Files of a hospital's folder that are no scans: reports and plans in DICOM, archives."""

import shutil
import zipfile
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread

from ssl_robust.data.held import by_kind
from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.scanset import open_scans
from ssl_robust.run import UserError

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
OTHERS = {"rtplan.dcm": "RT Plan", "test-SR.dcm": "Comprehensive SR", "waveform_ecg.dcm": "12-lead ECG Waveform"}


@pytest.fixture
def export(tmp_path):
    """Two pictures, two plans, a report and a curve, one of them without an ending."""
    root = tmp_path / "export"
    root.mkdir()
    for name in ("CT_small.dcm", "MR_small.dcm", *OTHERS):
        shutil.copy(FILES / name, root / name)
    shutil.copy(FILES / "rtplan.dcm", root / "IM000001")
    return root


def load(root):
    return load_manifest(data_settings("folder", path=str(root), ids="plain"))


def test_they_are_no_scans_and_are_told_by_kind(export, tmp_path, capsys):
    scans = open_scans(
        data_settings("folder", path=str(export), ids="plain", max_unreadable=0.0, cache_dir=str(tmp_path / "cache"))
    )
    assert scans.manifest.table["sample_id"].tolist() == ["CT_small.dcm", "MR_small.dcm"]
    assert scans.unreadable == []
    assert scans.manifest.passed_over == {"RT Plan": 2, "Comprehensive SR": 1, "12-lead ECG Waveform": 1}
    said = [line for line in capsys.readouterr().err.splitlines() if "no picture" in line]
    kinds = "2 RT Plan, 1 12-lead ECG Waveform, 1 Comprehensive SR"
    assert said == [f"Note: files that hold no picture are passed over: {kinds}"]


def test_a_damaged_picture_still_counts_as_unreadable(export, tmp_path, capsys):
    shutil.copy(FILES / "MR_truncated.dcm", export / "cut.dcm")
    header = dcmread(FILES / "CT_small.dcm")
    del header.PixelData
    header.save_as(export / "bare.dcm")
    (export / "text.dcm").write_text("no DICOM")
    options = {"path": str(export), "ids": "plain", "cache_dir": str(tmp_path / "cache")}
    scans = open_scans(data_settings("folder", **options, max_unreadable=0.7))
    assert {each["sample_id"] for each in scans.unreadable} == {"cut.dcm", "bare.dcm", "text.dcm"}
    assert sum(scans.manifest.passed_over.values()) == 4
    with pytest.raises(UserError, match="3 of 5 scans cannot be read"):
        open_scans(data_settings("folder", **options, max_unreadable=0.1))


def test_a_folder_of_reports_alone_says_so(export):
    for name in ("CT_small.dcm", "MR_small.dcm"):
        (export / name).unlink()
    with pytest.raises(UserError, match=r"none of the 4 files holds a picture \(2 RT Plan, .*\); give the scans"):
        load(export)


def test_a_table_that_names_them_keeps_its_lines_straight(export):
    lines = ["path,label,patient_id", "rtplan.dcm,x,p1", "CT_small.dcm,y,p2", "test-SR.dcm,x,p3", "MR_small.dcm,z,p4"]
    (export / "table.csv").write_text("\n".join(lines))
    manifest = load_manifest(data_settings("csv", path=str(export / "table.csv"), ids="plain"))
    assert manifest.table[["path", "label"]].to_numpy().tolist() == [["CT_small.dcm", "y"], ["MR_small.dcm", "z"]]
    assert manifest.passed_over == {"RT Plan": 1, "Comprehensive SR": 1}


def test_archives_beside_scans_are_told_of(export, capsys):
    for name in ("more.zip", "more.tar.gz", "a.tar", "scan.dcm.zst", "b.tar", "labels.csv.gz", "DICOMDIR"):
        (export / name).write_bytes(b"x")
    assert len(load(export)) == 2
    assert "holds archives (2 .tar, 1 .tar.gz, 1 .zip, 1 .zst); unpack those that hold scans" in capsys.readouterr().err


def test_archives_alone_are_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.write(FILES / "CT_small.dcm", "a.dcm")
    with pytest.raises(UserError, match=r"holds archives and no image, e\.g\. \.zip; unpack them first"):
        load(tmp_path)


def test_kinds_in_words():
    assert by_kind({"b": 1, "a": 1, "c": 1200}) == "1,200 c, 1 a, 1 b"
