"""The frames of a DICOM file as the values stored in them: the header checked, then one frame decoded at a time."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom import Dataset
from pydicom.encaps import get_frame, parse_basic_offsets, parse_fragments
from pydicom.pixels import get_decoder
from pydicom.uid import UID, RLELossless

from ssl_robust.data.formats.dicom_header import quiet, read_head
from ssl_robust.data.formats.rules import Refused


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
        try:
            self._check_coded_size(index)
            self._file.seek(self._start)
            return decoder.as_array(self._file, index=index, **self._options, **extra)
        except (Refused, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # decoders raise anything (Rust's panic is no Exception), and tell of every plug-in
            missing = self.syntax.is_encapsulated and "pylibjpeg" not in decoder.available_plugins
            raise Refused(needs if missing else f"has damaged pixels (frame {index}, {name})") from None

    def _check_coded_size(self, index: int) -> None:
        """Refuse a frame that calls itself another size than the header does: decoders would take hours over it."""
        if not self.syntax.is_encapsulated:
            return
        self._file.seek(self._start)
        offsets = self._options.get("extended_offsets")
        size = coded_size(get_frame(self._file, index, number_of_frames=self.n, extended_offsets=offsets))
        if size is not None and size != (self.header.Rows, self.header.Columns):
            raise Refused(f"holds {size[0]} x {size[1]} pixels (frame {index}), not the {self.header.Rows} x "
                          f"{self.header.Columns} of its header")  # fmt: skip


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 says it has; None where it does not say so at its start."""
    place = frame.find(b"\xff\x4f\xff\x51", 0, 256)
    if place >= 0:  # SOC and SIZ of JPEG 2000 (ISO/IEC 15444-1, A.5.1), perhaps within a JP2 file
        right, bottom, left, top = struct.unpack(">4I", frame[place + 8 : place + 24])
        return bottom - top, right - left
    place = 2
    while frame[:2] == b"\xff\xd8" and len(frame) >= place + 9:  # segments of JPEG (ISO/IEC 10918-1, B.1.1)
        marker = frame[place + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return struct.unpack(">HH", frame[place + 5 : place + 9])
        place += 1 if marker == 0xFF else 2 + struct.unpack(">H", frame[place + 2 : place + 4])[0]
    return None


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
            head = read_head(file)
            options, n = dict(head.options), head.options["number_of_frames"]
            if head.syntax.is_encapsulated and n > 1 and "extended_offsets" not in options:
                head.file.seek(head.start)
                options |= _places(head.file, n)
            yield Frames(head.elements, head.syntax, n, head.file, head.start, options)
    except Refused:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise Refused("is damaged (OSError)") from None
    except Exception as error:  # pydicom raises anything, and quotes what stands in the file: perhaps a name
        raise Refused(f"is damaged ({type(error).__name__})") from None


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
