"""Look-up tables of DICOM: of a modality, of interest, and of palettes (PS3.3 C.7.6.3.1.5, C.7.9.2, C.11.1.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_color_lut

from ssl_robust.data.formats.rules import Refused

_COLORS = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class Table:
    """Values -> entries; those below `first` take the first entry, those beyond the end the last.

    Attributes:
        entries: (n,) integers.
        first: the value that the first entry belongs to.
        bits: how many of an entry count.
    """

    entries: np.ndarray
    first: int
    bits: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Entries of all values, which are rounded."""
        whole = values if values.dtype.kind in "iu" else np.rint(np.nan_to_num(values))
        last = self.first + len(self.entries) - 1
        return self.entries[np.clip(whole, self.first, last).astype(np.int64) - self.first]

    @property
    def top(self) -> float:
        """The largest entry that could be there: white."""
        return 2.0 ** (self.bits if self.entries.max() < 2**self.bits else 16) - 1

    @classmethod
    def of_item(cls, item: Dataset, header: Dataset) -> Table:
        """The table in an item of a Modality or VOI LUT Sequence."""
        return cls._of(item.get("LUTDescriptor"), item.get("LUTData"), header)

    @classmethod
    def _of(cls, descriptor: Any, data: Any, header: Dataset) -> Table:
        n, first, bits = _described(descriptor)
        entries = _entries(data, n, header)
        if len(entries) < n:
            raise Refused(f"has a look-up table of {len(entries)} entries where it says {n}")
        return cls(entries[:n], first, bits)


def palette(header: Dataset) -> list[Table]:
    """The tables of red, green and blue; their entries are uint8, or uint16 where 8 bits cannot say the same.

    Raises:
        Refused: one of them is missing or cut short.
    """
    tables = _segments(header) if "SegmentedRedPaletteColorLookupTableData" in header else [
        Table._of(header.get(f"{color}PaletteColorLookupTableDescriptor"),
                  header.get(f"{color}PaletteColorLookupTableData"), header)
        for color in _COLORS
    ]  # fmt: skip
    entries = np.stack([table.entries.astype(np.uint16) for table in tables])
    if entries.max() <= 255:  # 8 bits in words, whatever the descriptor says
        entries = entries.astype(np.uint8)
    elif not (entries & 255).any():  # 8 bits in the upper half of words
        entries = (entries >> 8).astype(np.uint8)
    return [replace(table, entries=row) for table, row in zip(tables, entries, strict=True)]


def _segments(header: Dataset) -> list[Table]:
    n, first, bits = _described(header.get("RedPaletteColorLookupTableDescriptor"))
    if bits == 8 and n > 256:  # pydicom counts the rows of such tables in 8 bits
        raise Refused(f"has a palette of {n} entries of 8 bits in segments, which is not read")
    expanded = apply_color_lut(np.arange(first, first + n), header)
    return [Table(expanded[:, column], first, bits) for column in range(3)]


def _described(descriptor: Any) -> tuple[int, int, int]:
    """Number of entries, first value, bits of an entry."""
    if descriptor is None or len(descriptor) != 3:
        raise Refused("has a look-up table without a descriptor")
    n, first, bits = (int(value) for value in descriptor)
    if not 1 <= bits <= 16:
        raise Refused(f"has a look-up table of {bits} bits; expected 8 to 16")
    return (n & 0xFFFF) or 65536, first, bits


def _entries(data: Any, n: int, header: Dataset) -> np.ndarray:
    """Numbers as they are; bytes as words, or as bytes where there are too few for words."""
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray([] if data is None else data, dtype=np.uint16))
    order = "<" if header.original_encoding[1] in (True, None) else ">"
    whole = len(data) // 2 * 2
    return np.frombuffer(data[:whole], f"{order}u2") if len(data) >= 2 * n else np.frombuffer(data, np.uint8)
