"""DICOM: one picture, or the frames of a cine, a tomosynthesis, an enhanced CT or MR.

Pixels stay as they are stored where they are not square (Pixel Aspect Ratio, Pixel Spacing); overlays that lie beside
the pixels are not drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from pydicom import Dataset

from ssl_robust.data.formats.dicom_frames import Frames, opened
from ssl_robust.data.formats.dicom_values import colored, grey, measured
from ssl_robust.data.formats.rules import Contents, Refused, Rules

_SAMPLED = 8  # frames that stand for all of a file when percentiles are taken
# What de-identified files write in place of a patient; taken at its word it would put a whole set into one group.
_NOBODY = frozenset(["", "anon", "anonymous", "anonymized", "anonymised", "deidentified", "unknown", "none", "na"])


def contents(path: Path, rules: Rules) -> Contents:
    """Frames, patient and technical facts, from the header alone.

    The patient is the PatientID of its issuer; without one the name and the date of birth, then the study, so that at
    least the pictures of one visit stay together.

    Raises:
        ValueError: no DICOM file, or no picture in it.
    """
    with opened(path) as frames:
        parts = tuple(f"frame={index}" for index in range(0, frames.n, rules.frames)) if frames.n > 1 else ("",)
        return Contents(parts, _patient(frames.header), _facts(frames))


def read(path: Path, parts: Sequence[str], rules: Rules) -> Iterator[np.ndarray]:
    """Frames -> (H, W) or (H, W, 3), uint8 where 8 bits are shown as they are, else uint16 over its full range.

    Grey values go through rescale slope and intercept (or the modality table), then the window of the set, else the
    file's own; MONOCHROME1 is turned round; padding is black. One frame is in memory at a time.

    Raises:
        ValueError: no picture, damaged pixels, no decoder, or several frames and none is named.
    """
    with opened(path) as frames:
        chosen = [_index(part, frames.n) for part in parts]

        @cache
        def sample() -> np.ndarray:
            some = np.unique(np.linspace(0, frames.n - 1, _SAMPLED).astype(int))
            return np.concatenate([measured(frames, int(index)) for index in some])

        for index in chosen:
            color = frames.header.SamplesPerPixel == 3 or frames.header.PhotometricInterpretation == "PALETTE COLOR"
            yield colored(frames, index) if color else grey(frames, index, rules, sample)


def _index(part: str, n: int) -> int:
    if part == "":
        if n > 1:
            raise Refused(f"holds {n} frames; name one, as in #frame=0")
        return 0
    number = re.fullmatch(r"frame=([0-9]{1,9})", part)
    if number is None or int(number[1]) >= n:
        raise Refused(f"has no part {part}; expected frame=0 to frame={n - 1}")
    return int(number[1])


def _patient(header: Dataset) -> str | None:
    number = _known(header, "PatientID")
    if number:
        return "\n".join([number, str(header.get("IssuerOfPatientID") or "").strip()])
    name = _known(header, "PatientName")
    if name:
        return "\n".join([name, str(header.get("PatientBirthDate") or "")])
    return str(header.get("StudyInstanceUID") or "") or None


def _known(header: Dataset, keyword: str) -> str:
    text = str(header.get(keyword) or "").strip()
    return "" if re.sub("[^a-z0-9]", "", text.lower()) in _NOBODY else text


def _facts(frames: Frames) -> dict[str, str]:
    header = frames.header
    codes = {"modality": header.get("Modality"), "photometric": header.PhotometricInterpretation}
    return {
        # Code strings alone: whatever else stands in these elements might name somebody.
        **{name: code for name, code in codes.items() if re.fullmatch("[A-Z0-9_ ]{1,16}", str(code or ""))},
        "bits": str(header.get("BitsStored") or header.BitsAllocated),
        "encoding": frames.syntax.name if not frames.syntax.is_private else "private",
        "size": f"{header.Rows} x {header.Columns}",
    }
