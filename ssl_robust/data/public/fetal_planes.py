"""FETAL_PLANES_DB, ultrasound scans of six standard planes -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import Row, manifest_of, official_table
from ssl_robust.files import UserError

CLASSES = ("Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax", "Maternal cervix", "Other")
_TABLE = "FETAL_PLANES_DB_data.csv"
_COLUMNS = ("Image_name", "Patient_num", "Plane", "Train")  # officially "Train ", and its values "1 " and "0 "
_SPLITS = {"1": "train", "0": "test"}


def read_fetal_planes(
    *,
    path: str,
    homepage: str,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """Lines of `FETAL_PLANES_DB_data.csv`, with the files `Images/<Image_name>.png` -> manifest.

    Args:
        path: the folder that holds the table and `Images`.
        homepage: where the set is downloaded.
        classes: the six names in another order; None: alphabetical.
        fractions: `val`: share of the official training scans that become the validation split, whole patients.
        split_seed: seed of that split.

    Raises:
        UserError: the table, one of its columns or one of its files is missing, or a line has no split.
    """
    layout = Layout(path, homepage, landmark=_TABLE)
    table = official_table(layout, _TABLE, _COLUMNS)
    for image, train in zip(table["Image_name"], table["Train"], strict=True):
        if train not in _SPLITS:
            raise UserError(f"{_TABLE}: {image} has Train={train}; expected 1 (train) or 0 (test)")
    images = layout.folder("Images")
    rows = [
        Row(f"{images}/{image}.png", plane, _SPLITS[train], patient)
        for image, patient, plane, train in table.itertuples(index=False)
    ]
    layout.check_files((row.name for row in rows), named_in=_TABLE)
    return manifest_of(rows, layout, classes=classes or CLASSES, fractions=fractions, split_seed=split_seed)
