"""The frames of a DICOM file as the values stored in them: the header checked, then one frame decoded at a time."""

from __future__ import annotations

import contextlib
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import parse_basic_offsets, parse_fragments
from pydicom.pixels import as_pixel_options, get_decoder
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

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
_PYDICOM = re.compile(r"pydicom\.")

# Tracebacks of plug-ins, with what stands in the file; all of it comes as a sentence from here.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


class Refused(ValueError):
    """Why a file is not read, in a sentence that names nobody."""


@dataclass(frozen=True)
class Frames:
    """An open file whose header promises a picture.

    Attributes:
        header: the elements before the pixels that matter here.
        syntax: how the pixels are encoded.
        n: number of frames.
    """

    header: Dataset
    syntax: UID
    n: int
    _file: BinaryIO
    _start: int
    _options: dict[str, Any]

    def stored(self, index: int) -> np.ndarray:
        """One frame, (H, W) or (H, W, 3) as RGB, of the type that the file stores; unused bits are masked.

        Raises:
            Refused: it cannot be decoded.
        """
        if self.header.BitsAllocated == 1 and not self.syntax.is_encapsulated:
            return self._bits(index)
        high, bits = self.header.get("HighBit"), self._options.get("bits_stored")
        by_codec = self.syntax.is_encapsulated and self.syntax != RLELossless  # it yields numbers, without unused bits
        lifted = not by_codec and isinstance(high, int) and isinstance(bits, int) and high + 1 > bits
        values, found = self._decoded(index, {"correct_unused_bits": False} if lifted else {})
        if lifted and bits:  # pydicom takes the lowest bits, whatever the header says
            allocated = 8 * values.dtype.itemsize
            values = np.right_shift(np.left_shift(values, max(0, allocated - 1 - int(high))), allocated - bits)
        if values.ndim == 3 and found["photometric_interpretation"] != "RGB":
            raise Refused(f"has colors in {found['photometric_interpretation']}, which are not read")
        return values

    def _bits(self, index: int) -> np.ndarray:
        """A frame that begins and ends within a byte, where pydicom reads a byte too few."""
        n = self.header.Rows * self.header.Columns * self.header.SamplesPerPixel
        byte, bit = divmod(index * n, 8)
        self._file.seek(self._start + byte)
        packed = np.frombuffer(self._file.read((bit + n + 7) // 8), np.uint8)
        return np.unpackbits(packed, bitorder="little")[bit : bit + n].reshape(self.header.Rows, self.header.Columns)

    def _decoded(self, index: int, extra: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        name = re.split(r" Image|[,(:]", self.syntax.name)[0].strip()
        try:
            decoder = get_decoder(self.syntax)
        except NotImplementedError:
            raise Refused(f"is encoded as {name}, which is not read") from None
        needs = f"needs a decoder for {name}: pip install 'ssl-robust[dicom]'"
        if not decoder.is_available:
            raise Refused(needs)
        self._file.seek(self._start)
        try:
            return decoder.as_array(self._file, index=index, **self._options, **extra)
        except Exception:  # decoders raise anything, and tell of every plug-in that failed
            missing = self.syntax.is_encapsulated and "pylibjpeg" not in decoder.available_plugins
            raise Refused(needs if missing else f"has damaged pixels (frame {index}, {name})") from None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Frames]:
    """The frames of a file, which stays open meanwhile; only its header is read.

    Raises:
        Refused: no DICOM, no picture in it, or a header that does not fit the file.
        OSError: the file cannot be had.
    """
    quiet()
    try:
        with path.open("rb") as file:
            yield _frames(file)
    except Refused:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise Refused("is damaged (OSError)") from None
    except Exception as error:  # pydicom raises anything, and quotes what stands in the file: perhaps a name
        raise Refused(f"is damaged ({type(error).__name__})") from None


def quiet() -> None:
    """Silence pydicom's warnings: what they tell of is mended or refused here, and they may quote a patient's name.

    One filter for good, looked for at each call: `catch_warnings` puts filters back while other threads still read.
    """
    if not any(rule[0] == "ignore" and rule[3] == _PYDICOM for rule in warnings.filters):
        warnings.filterwarnings("ignore", module=_PYDICOM.pattern)


def _frames(file: BinaryIO) -> Frames:
    known = file.read(132)[128:] == b"DICM"
    file.seek(0)
    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=list(_READ), force=True)
    except Exception:
        raise Refused("is damaged: its header cannot be read" if known else "is no DICOM file") from None
    file = getattr(header, "buffer", None) or file  # deflated files are unpacked into memory
    element = _pixel_element(file)
    if element is None or ("Rows" not in header and not known):
        raise Refused(_no_picture(header) if known else "is no DICOM file")
    keyword, vr, length = element
    start = file.tell()
    file.seek(0, 2)
    syntax, options = _syntax(header), _options(header, keyword)
    _check_size(header, syntax, options["number_of_frames"], there=min(length, file.tell() - start))
    if syntax.is_encapsulated and options["number_of_frames"] > 1 and "extended_offsets" not in options:
        file.seek(start)
        options |= _places(file, options["number_of_frames"])
    return Frames(header, syntax, options["number_of_frames"], file, start, {**options, "pixel_vr": vr})


def _places(file: BinaryIO, n: int) -> dict[str, Any]:
    """Where the frames are, if the file has no table of them and each is one fragment; else pydicom counts for each."""
    if parse_basic_offsets(file):
        return {}
    first = file.tell()
    found, places = parse_fragments(file)
    if found != n:
        return {}
    lengths = []
    for place in places:
        file.seek(place + 4)
        lengths.append(struct.unpack("<L", file.read(4))[0])
    return {"extended_offsets": ([place - first for place in places], lengths)}


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


def _no_picture(header: Dataset) -> str:
    name = UID(str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")).name
    kind = re.sub(r"( Information Object)?( Storage)?$", "", name)
    return f"holds no picture ({kind})" if re.fullmatch(r"[A-Z0-9][A-Za-z0-9 /-]*", kind) else "holds no picture"


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
