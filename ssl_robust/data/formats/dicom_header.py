"""The header of a DICOM file: what promises a picture, checked against the file before any memory is taken."""

from __future__ import annotations

import logging
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread
from pydicom.pixels import as_pixel_options
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ssl_robust.data.formats.rules import NoPicture, Refused

_READ = (
    "SOPClassUID", "Modality", "StudyInstanceUID", "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit", "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    *(f"{segmented}{color}PaletteColorLookupTableData" for segmented in ("", "Segmented")
      for color in ("Red", "Green", "Blue")),
    *(f"{color}PaletteColorLookupTableDescriptor" for color in ("Red", "Green", "Blue")),
)  # fmt: skip
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_MOST = 178_956_970  # pixels of a frame; Pillow refuses larger pictures too
# Storage classes of the standard that hold pixels; all others (reports, plans, waveforms, …) never do.
_OF_PICTURES = re.compile(r"Image|(?<!Surface )Segmentation|RT Dose|Map\b|US Volume|Volume Analysis|Overlay|AIT")
_NO_PICTURES = {"1.3.12.2.1107.5.9.1": "Siemens CSA Non-Image"}  # private, beside many scans of that maker
_PYDICOM = re.compile(r"pydicom\.")

# Tracebacks of plug-ins, with what stands in the file; all of it comes as a sentence from here.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Head:
    """A header and where its pixels are.

    Attributes:
        elements: those before the pixels that matter here.
        syntax: how the pixels are encoded.
        options: what pydicom's decoders want to know.
        file: open; for deflated files what they unpack to.
        start: where the pixels begin in it.
    """

    elements: Dataset
    syntax: UID
    options: dict[str, Any]
    file: BinaryIO
    start: int


def read_head(file: BinaryIO) -> Head:
    """The header of an open file.

    Raises:
        Refused: no DICOM, no picture in it, or a header that does not fit the file.
    """
    known = file.read(132)[128:] == b"DICM"
    file.seek(0)
    try:
        elements = dcmread(file, stop_before_pixels=True, specific_tags=list(_READ), force=True)
    except Exception:
        raise Refused("is damaged: its header cannot be read" if known else "is no DICOM file") from None
    file = getattr(elements, "buffer", None) or file
    pixels = _pixel_element(file)
    if not known and (pixels is None or "Rows" not in elements):
        raise Refused("is no DICOM file")
    if pixels is None:
        raise _without_picture(elements)
    keyword, kind, length = pixels
    start = file.tell()
    file.seek(0, 2)
    syntax, options = _syntax(elements), {**_options(elements, keyword), "pixel_vr": kind}
    _check_size(elements, syntax, options["number_of_frames"], there=min(length, file.tell() - start))
    return Head(elements, syntax, options, file, start)


def quiet() -> None:
    """Silence pydicom's warnings: what they tell of is mended or refused here, and they may quote a patient's name.

    One filter for good, looked for at each call: `catch_warnings` puts filters back while other threads still read.
    """
    if not any(rule[0] == "ignore" and rule[3] == _PYDICOM for rule in warnings.filters):
        warnings.filterwarnings("ignore", module=_PYDICOM.pattern)


def _pixel_element(file: BinaryIO) -> tuple[str, str, int] | None:
    """Keyword, value representation and length of the element that starts here, if it holds pixels."""
    head = file.read(8)
    if len(head) < 8:
        return None
    order = "<" if head[:2] == b"\xe0\x7f" else ">"
    group, element = struct.unpack(f"{order}HH", head[:4])
    keyword = _PIXELS.get(group << 16 | element)
    if keyword is None:
        return None
    if head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN"):
        return keyword, head[4:6].decode(), struct.unpack(f"{order}L", file.read(4))[0]
    return keyword, "OW", struct.unpack(f"{order}L", head[4:])[0]


def _without_picture(header: Dataset) -> Refused:
    """Why a file without pixels is not read: it is no picture by its class, or a picture that was cut short."""
    uid = UID(str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or ""))
    name = _NO_PICTURES.get(uid, uid.name)
    kind = re.sub(r"( Information Object)?( Storage)?( - Trial)?$", "", name)
    told = re.fullmatch(r"[A-Z0-9][A-Za-z0-9 /-]*", kind) is not None
    if told and (uid in _NO_PICTURES or (uid.type == "SOP Class" and not _OF_PICTURES.search(kind))):
        return NoPicture(kind)
    return Refused(f"holds no picture ({kind})" if told else "holds no picture")


def _syntax(header: Dataset) -> UID:
    told = header.file_meta.get("TransferSyntaxUID")
    if told:
        return UID(told)
    implicit, little = header.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _options(header: Dataset, keyword: str) -> dict[str, Any]:
    """What decoders want to know, checked."""
    needed = ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated"]
    for name in needed + (["BitsStored"] if keyword == "PixelData" else []):
        if not isinstance(header.get(name), int) or header[name].value < 1:
            raise Refused(f"has no usable {name} in its header")
    if not re.fullmatch("[1-9][0-9]{0,8}", str(header.get("NumberOfFrames") or 1).strip()):
        raise Refused("has no usable NumberOfFrames in its header")
    if header.SamplesPerPixel not in (1, 3):
        raise Refused(f"has {header.SamplesPerPixel} samples per pixel; expected 1 or 3")
    if not isinstance(header.get("PhotometricInterpretation"), str) or not header.PhotometricInterpretation:
        raise Refused("has no PhotometricInterpretation in its header")
    signed, planar = header.get("PixelRepresentation") == 1, header.get("PlanarConfiguration") == 1
    return {
        **as_pixel_options(header),
        "number_of_frames": int(header.get("NumberOfFrames") or 1),
        "pixel_representation": int(signed),
        "planar_configuration": int(planar),
        "pixel_keyword": keyword,
    }


def _check_size(header: Dataset, syntax: UID, n: int, *, there: int) -> None:
    """Refuse before any memory is taken: a header may claim what it likes."""
    if header.Rows * header.Columns > _MOST:
        raise Refused(f"claims {header.Rows} x {header.Columns} pixels; expected no more than {_MOST:,}")
    if syntax.is_encapsulated:
        if 8 * n > there:  # each frame is an item with a head of 8 bytes
            raise Refused(f"claims {n:,} frames in {there:,} bytes; it is damaged or cut short")
        return
    expected = get_expected_length(header)
    if expected > there:
        raise Refused(f"is cut short: {there:,} of {expected:,} bytes of its pixels are there")
    if header.PhotometricInterpretation == "YBR_FULL_422" and there >= expected // 2 * 3:
        raise Refused("says YBR_FULL_422, but its colors are not halved; its header is wrong")
