import tomllib
from pathlib import Path

from ssl_robust.doctor import readers

ROOT = Path(__file__).resolve().parents[2]


def test_what_an_extra_lacks():
    stated = ["numpy>=1", 'nowhere-to-be-found>=1; extra == "dicom"', "numpy>=1; extra == 'dicom'",
              "pillow>=1; python_version > '3' and extra == 'onnx'", "nothing-like-it; extra == 'dev'"]  # fmt: skip
    assert readers.extras(stated) == {"dicom": ["nowhere-to-be-found"], "onnx": []}


def test_every_extra_of_the_project_is_understood():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    requirements = [f'{each}; extra == "{name}"' for name, several in stated.items() for each in several]
    assert readers.extras(requirements).keys() == stated.keys() - {"dev"}


def test_a_compression_counts_only_if_all_of_its_syntaxes_are_decoded(monkeypatch):
    import pydicom.pixels

    lossy = "1.2.840.10008.1.2.4.91"

    class Decoder:
        def __init__(self, uid):
            self.is_available = uid != lossy

    monkeypatch.setattr(pydicom.pixels, "get_decoder", Decoder)
    found = readers.dicom()
    assert not found["JPEG 2000"]
    assert found["uncompressed"]
    assert found["RLE Lossless"]


def test_names_of_compressions_are_short():
    assert readers.compression("Implicit VR Little Endian") == "uncompressed"
    assert readers.compression("JPEG Baseline (Process 1)") == "JPEG Baseline"
    assert readers.compression("JPEG Lossless, Non-Hierarchical (Process 14)") == "JPEG Lossless"
    assert readers.compression("JPEG 2000 Image Compression (Lossless Only)") == "JPEG 2000"
    assert max(map(len, readers.dicom())) < 40


def test_pictures_of_this_pillow_are_read():
    """What Pillow says it has must be what it opens."""
    import io

    from PIL import Image

    endings = {"JPEG": "jpeg", "PNG": "png", "WebP": "webp"}
    for name, is_here in readers.pictures().items():
        if is_here and name in endings:
            buffer = io.BytesIO()
            Image.new("L", (4, 4)).save(buffer, endings[name])
            assert Image.open(buffer).size == (4, 4)
    assert readers.pictures()["PNG"]
