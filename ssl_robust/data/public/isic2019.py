"""ISIC 2019, dermatoscopic images of eight kinds of skin lesion -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import Row, manifest_of, official_table
from ssl_robust.files import UserError

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")  # in the order of the ground truth
_TRAINING, _TEST = "ISIC_2019_Training", "ISIC_2019_Test"


def read_isic2019(
    *,
    path: str,
    homepage: str,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`ISIC_2019_Training_Input/x.jpg` with its tables, and the same of the test set if it is there -> manifest.

    The images of one lesion stay together, as do those of a patient elsewhere; the test set names no lesions. Test
    images of none of the eight kinds (`UNK`) have no label.

    Args:
        path: the folder that holds them.
        homepage: where the set is downloaded.
        classes: the eight names in another order; None: as in the ground truth.
        fractions: shares of `val` and `test`; with the official test set, `val` alone is made, out of train.
        split_seed: seed of those splits.

    Raises:
        UserError: a folder, a table, one of its columns or one of its files is missing, or an image has several labels.
    """
    layout = Layout(path, homepage, landmark=f"{_TRAINING}_GroundTruth.csv")
    metadata = official_table(layout, f"{_TRAINING}_Metadata.csv", ("image", "lesion_id")).dropna()
    lesions = dict(metadata.itertuples(index=False, name=None))
    if any((layout.root / f"{_TEST}_{part}").exists() for part in ("Input", "GroundTruth.csv")):
        rows = [*_rows(layout, _TRAINING, "train", lesions), *_rows(layout, _TEST, "test", {})]
    else:
        rows = _rows(layout, _TRAINING, None, lesions)
    return manifest_of(rows, layout, classes=classes or CLASSES, fractions=fractions, split_seed=split_seed)


def _rows(layout: Layout, half: str, split: str | None, lesions: Mapping[str, str]) -> list[Row]:
    """The images that one ground truth names, in its order."""
    images, truth = layout.folder(f"{half}_Input"), f"{half}_GroundTruth.csv"
    table = official_table(layout, truth, ("image", *CLASSES))
    rows = [
        Row(f"{images}/{image}.jpg", label, split, lesions.get(image))
        for image, label in zip(table["image"], _labels(table, truth), strict=True)
    ]
    layout.check_files((row.name for row in rows), named_in=truth)
    return rows


def _labels(table: pd.DataFrame, where: str) -> list[str | None]:
    """One class per line from columns of 0.0 and 1.0, None where all are 0.0."""
    marks = table[list(CLASSES)].apply(pd.to_numeric, errors="coerce").eq(1).to_numpy()
    if (several := marks.sum(axis=1) > 1).any():
        raise UserError(f"{where}: {table['image'].iloc[int(several.argmax())]} has several labels; expected one 1.0")
    return [CLASSES[row.argmax()] if row.any() else None for row in marks]
