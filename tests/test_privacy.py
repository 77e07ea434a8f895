"""No output of pretrain, embed and audit says who a scan shows or where it lies, run.json and config.yaml excepted."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_robust.cli import run

OWN = {"run.json", "config.yaml"}  # stay on the user's machine
PATIENTS = ("Beeblebrox_Zaphod", "Dent_Arthur", "Prefect_Ford", "McMillan_Tricia", "Colluphid_Oolon", "Prosser_Lester")
NAMES = [part for name in PATIENTS for part in name.split("_")]
# Attributes of every kind that holds text: keyword -> what is planted.
PLANTED = {
    "PatientName": "Beeblebrox^Zaphod^^Dr", "OtherPatientNames": "Megadodo^Gag", "PatientID": "MRN-420042",
    "OtherPatientIDs": "ALT-430043", "PatientBirthDate": "19520311", "PatientBirthTime": "031415.926",
    "PatientAddress": "Arlington Avenue 29", "PatientComments": "likes Galactic Gargle", "PatientWeight": "77.12345",
    "ReferringPhysicianName": "Halfrunt^Gag", "OperatorsName": "Slartibart^Fast", "InstitutionName": "Klinik Vogon",
    "InstitutionAddress": "Barnard Star Allee", "StationName": "STATION4711", "DeviceSerialNumber": "SERIAL-99881",
    "AccessionNumber": "ACC-55667788", "StudyID": "STUDY-8812", "StudyDescription": "Thorax of Zaphod",
    "StudyDate": "20240229", "StudyTime": "235958.123", "AcquisitionDateTime": "20240229235957.5",
    "RetrieveAETitle": "VOGON_AE", "RetrieveURL": "http://vogon.example/wado", "LongCodeValue": "CODE-UC-991199",
    "TextValue": "free text of Eccentrica", "SeriesNumber": "7654321", "ImageComments": "phone 0179-8877665",
    "SeriesInstanceUID": "1.2.826.0.1.424242424", "StudyInstanceUID": "1.2.826.0.1.434343434",
    "DerivationDescription": "derived by Majikthise", "ProtocolName": "PROT-VROOMFONDEL",
}  # fmt: skip
PRIVATE = ("VOGON PRIVATE", "secret of Lunkwill", b"bytes of Fook")


def drawings(n=24):
    """Grey scans of 32 px in two classes."""
    rng = np.random.default_rng(0)
    return [rng.normal((90, 160)[row % 2], 20, (32, 32)).clip(0, 255).astype(np.uint8) for row in range(n)]


def pictures(root: Path) -> list[str]:
    """Patients' names in folders; returns options and what must not be found."""
    for row, pixels in enumerate(drawings()):
        file = root / ("ill", "well")[row % 2] / PATIENTS[row // 4] / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    (root / "ill" / PATIENTS[0] / "broken.png").write_bytes(b"x")
    return ["data.patient_pattern='([A-Z][A-Za-z]+_[A-Z][a-z]+)'"]


def dicoms(root: Path) -> list[str]:
    """Markers in every kind of attribute that holds text, of one patient in the names of files, too."""
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("ssl_robust.data.formats.dicom")
    from pydicom.dataset import Dataset, FileMetaDataset

    for row, pixels in enumerate(drawings()):
        scan = Dataset()
        for keyword, value in PLANTED.items():
            setattr(scan, keyword, value)
        if row >= 4:
            scan.PatientID, scan.PatientName = f"{scan.PatientID}-{row // 4}", PATIENTS[row // 4].replace("_", "^")
        block = scan.private_block(0x11, PRIVATE[0], create=True)
        block.add_new(1, "LO", PRIVATE[1])
        block.add_new(2, "UN", PRIVATE[2])
        scan.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        scan.SOPInstanceUID = f"1.2.826.0.1.454545454.{row}"
        scan.Modality, scan.PhotometricInterpretation, scan.SamplesPerPixel = "CR", "MONOCHROME2", 1
        scan.Rows, scan.Columns = pixels.shape
        scan.BitsAllocated = scan.BitsStored = 8
        scan.HighBit, scan.PixelRepresentation, scan.PixelData = 7, 0, pixels.tobytes()
        scan.file_meta = FileMetaDataset()
        scan.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        file = root / ("ill", "well")[row % 2] / f"{PATIENTS[row // 4]}_{row}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        scan.save_as(file, enforce_file_format=True)
    (root / "ill" / f"{PATIENTS[0]}_broken.dcm").write_bytes(bytes(128) + b"DICM" + b"x" * 50)
    return []


def pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files below, those within archives (npz, checkpoints) too."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name not in OWN:
            yield str(file.relative_to(folder)), file.read_bytes()
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    yield from ((f"{file.name}:{name}", archive.read(name)) for name in archive.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("make", [pictures, dicoms])
def test_no_output_tells_who_or_where(make, tmp_path, capsys):
    root, out = tmp_path / "Klinik Vogon" / "scans", tmp_path / "out"
    data = ["data=folder", f"data.path={root}", "data.max_unreadable=0.2", *make(root)]
    small = ["encoder=resnet10t", "trainer.max_epochs=1", "trainer.batch_size=8", "trainer.progress=false"]
    assert run(["pretrain", *data, *small, "method=simclr", f"out={out / 'ssl'}"]) == 0
    assert run(["embed", *data, f"checkpoint={out / 'ssl'}", f"out={out / 'emb'}"]) == 0
    assert run(["audit", *data, f"checkpoint={out / 'ssl'}", f"out={out / 'audit'}"]) == 0
    said = "".join(capsys.readouterr())
    planted = [*map(str, PLANTED.values()), *(each if isinstance(each, str) else each.decode() for each in PRIVATE)]
    words = {*NAMES, *planted, *(part for text in planted for part in text.split("^") if len(part) > 3)}
    assert not [word for word in words if word in said.replace(str(root), "")]
    found = list(pieces(out))
    kinds = {Path(name).suffix for name, _ in found}
    assert {".safetensors", ".json", ".csv", ".html", ".npy", ".npz", ".ckpt"} <= kinds
    markers = [word.encode() for word in {*words, str(tmp_path), "454545454"}]
    assert not [(name, word) for name, text in found for word in markers if word in text or word in name.encode()]
    # The one place that says who is who lies beside the data, for their owner alone.
    listed = root / "ssl-robust-ids.csv"
    assert PATIENTS[1] in listed.read_text(encoding="utf-8")
    assert listed.stat().st_mode & 0o077 == 0
