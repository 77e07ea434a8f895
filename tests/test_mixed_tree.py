"""One folder as a hospital hands it over: DICOM, NIfTI, 16-bit TIFF, JPEG, broken files and what is no scan."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ssl_robust.cli import run
from ssl_robust.files import read_json

DRAWS = np.random.default_rng(0)
CLASSES = ("benign", "malignant")
N = len(CLASSES) * (8 + 8 + 8 + 6)


def dicom(path, values, patient):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.PatientID, data.PatientName, data.Modality = patient, "DOE^JANE", "CT"
    data.Rows, data.Columns, data.SamplesPerPixel = *values.shape, 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = values.astype(np.int16).tobytes()
    data.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Per class: 8 DICOMs of 4 patients, 8 TIFFs of 16 bits, 8 JPEGs and a volume of 6 slices; and what is no scan."""
    root = tmp_path_factory.mktemp("archive")
    for grey, name in enumerate(CLASSES):
        folder = root / name
        folder.mkdir()
        for number in range(8):
            scan = DRAWS.integers(0, 800, (24, 20)) + 400 * grey
            dicom(folder / f"IM{number:04}", scan + 1024, f"{name}-{number // 2}")
            Image.fromarray((scan * 40).astype(np.uint16)).save(folder / f"deep{number}.tif")
            Image.fromarray((scan // 8).astype(np.uint8)).save(folder / f"plain{number}.jpg")
        volume = DRAWS.integers(0, 800, (20, 24, 6)) + 400.0 * grey
        nibabel.save(nibabel.Nifti1Image(volume.astype(np.float32), np.eye(4)), folder / "volume.nii.gz")
    (root / "benign/cut.jpg").write_bytes((root / "benign/plain0.jpg").read_bytes()[:200])
    (root / "malignant/IM0099").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (root / "malignant/notes.txt").write_text("no scan")
    (root / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return root


@pytest.fixture(scope="module")
def common(tree, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return ["data=folder", f"data.path={tree}", "data.image_size=32", "data.max_unreadable=0.1",
            f"data.cache_dir={cache}"]  # fmt: skip


def test_a_report_names_what_cannot_be_read(common, tmp_path, capsys):
    assert run(["check", *common, f"out={tmp_path / 'check'}"]) == 0
    found = read_json(tmp_path / "check" / "check.json")
    assert len(pd.read_csv(tmp_path / "check" / "check.csv")) == N
    assert "Left out 2 of 62 scans that cannot be read" in capsys.readouterr().out
    assert "notes.txt" not in str(found)


@pytest.mark.slow
def test_pretraining_and_audit_take_what_is_whole(common, tmp_path, capsys):
    small = ["encoder=resnet10t", "trainer.max_epochs=1", "trainer.batch_size=16", "monitor.keep=none"]
    assert run(["pretrain", *common, "method=simclr", *small, f"out={tmp_path / 'ssl'}"]) == 0
    assert len(read_json(tmp_path / "ssl" / "run.json")["unreadable"]) == 2
    assert run(["audit", *common, f"checkpoint={tmp_path / 'ssl'}", f"out={tmp_path / 'audit'}"]) == 0
    table = pd.read_csv(tmp_path / "audit" / "audit.csv")
    assert len(table) == N
    assert set(table["label"]) == set(CLASSES)
    for name in ("audit/audit.csv", "audit/report.html", "ssl/encoder.json"):
        text = (tmp_path / name).read_text()
        assert [word for word in ("DOE^JANE", "benign-1", "malignant-2", "IM0000") if word in text] == [], name
    assert "JANE" not in capsys.readouterr().out
