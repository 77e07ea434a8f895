"""What files hold: a folder or a table names files, and each of them is one scan or several."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.formats.rules import Contents, Rules
from ssl_robust.data.headers import Headers
from ssl_robust.run import UserError


@dataclass(frozen=True)
class Held:
    """Scans of some files, in order; row i of the first four is one scan.

    Attributes:
        of: (n,) which of the files.
        parts: which part of it, "" where the file is one scan.
        names: the file's name, with the part where there are several: `a.dcm#frame=3`.
        groups: whom it shows, where the file itself says so; else the file's name where the file holds several scans,
            which must not be torn apart by a split.
        personal: whether a file says whom it shows; names of such files may say so too.
        n_unnamed: files of several scans that do not say whom they show.
        passed_over: how many files of each kind hold no picture, {"RT Plan": 3}; none of them is a scan.
    """

    of: np.ndarray
    parts: list[str]
    names: list[str]
    groups: list[str | None]
    personal: bool
    n_unnamed: int
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def patients(self, known: Sequence[Any] | None) -> list[str | None]:
        """The patient of each scan: the known one, else the group; a note says where files stand in for patients.

        Args:
            known: (n,) patients from elsewhere, unknown ones None, NA or blank; None: nobody is known.
        """
        if known is None:
            if self.n_unnamed:
                print(
                    f"Note: files that hold several scans and name no patient ({self.n_unnamed}) count as one patient "
                    "each",
                    file=sys.stderr,
                )
            return self.groups
        blank = [pd.isna(each) or not str(each).strip() for each in known]
        return [group if none else str(each) for group, none, each in zip(self.groups, blank, known, strict=True)]


def held(
    files: Sequence[Path], names: Sequence[str], rules: Rules, headers: Headers, wanted: Sequence[str] | None = None
) -> Held:
    """The scans of some files, from their headers; a file that cannot be read counts as one scan, and is told of later.

    Files that are whole and hold no picture (reports and plans in DICOM) are no scans: a line says how many there are.

    Args:
        files: where they are.
        names: what they are called, of the same length.
        rules: which frames and slices are taken.
        headers: of this folder of data.
        wanted: the part of each file that is meant, "" = all; None: all of all.

    Raises:
        UserError: none of the files holds a picture.
    """
    wanted = wanted or [""] * len(files)
    found = headers.look(files, rules)
    passed_over = _passed_over(dict(zip(files, found, strict=True)))
    chosen = [
        (part,) if part and each.no_picture is None else each.parts for part, each in zip(wanted, found, strict=True)
    ]
    of = [row for row, each in enumerate(chosen) for _ in each]
    parts = [part for each in chosen for part in each]
    whole = [names[row] for row in of]
    called = [f"{name}#{part}" if part else name for name, part in zip(whole, parts, strict=True)]
    several = [name if len(each.parts) > 1 else None for name, each in zip(names, found, strict=True)]
    return Held(
        np.array(of, dtype=np.int64), parts, called,
        groups=[found[row].patient or several[row] for row in of],
        personal=any(each.patient is not None for each in found),
        n_unnamed=sum(name is not None and each.patient is None for name, each in zip(several, found, strict=True)),
        passed_over=passed_over,
    )  # fmt: skip


def by_kind(passed_over: Mapping[str, int]) -> str:
    """`3 RT Plan, 1 Basic Text SR`, the most frequent first."""
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(passed_over.items(), key=lambda each: (-each[1], each[0])))


def _passed_over(found: Mapping[Path, Contents]) -> dict[str, int]:
    kinds = Counter(each.no_picture for each in found.values() if each.no_picture is not None)
    if found and kinds.total() == len(found):
        raise UserError(
            f"none of the {len(found):,} files holds a picture ({by_kind(kinds)}); give the scans themselves"
        )
    if kinds:
        print(f"Note: files that hold no picture are passed over: {by_kind(kinds)}", file=sys.stderr)
    return dict(kinds)
