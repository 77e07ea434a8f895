"""COVID-QU-Ex, chest radiographs of three classes -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import manifest_of, rows_of_classes

CLASSES = ("COVID-19", "Non-COVID", "Normal")
_SPLITS = {"train": "Train", "val": "Val", "test": "Test"}
# The other half of the archive, Infection Segmentation Data, repeats some of these radiographs.
_HALF = "Lung Segmentation Data"


def read_covid_qu_ex(
    *,
    path: str,
    homepage: str,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`Lung Segmentation Data/…/{Train,Val,Test}/CLASS/images/x.png` -> manifest; the lung masks beside are no scans.

    Args:
        path: the folder that holds `Lung Segmentation Data`.
        homepage: where the set is downloaded.
        classes: the three names in another order; None: alphabetical.
        fractions: not used, the splits are given.
        split_seed: not used, as above.

    Raises:
        UserError: a folder is missing, or holds no image.
    """
    layout = Layout(path, homepage, landmark=_HALF)
    half = layout.folder(_HALF)
    rows = [
        row
        for split, folder in _SPLITS.items()
        for row in rows_of_classes(layout, f"{half}/{folder}", split=split, classes=CLASSES, inside="images")
    ]
    return manifest_of(rows, layout, classes=classes or CLASSES, fractions=fractions, split_seed=split_seed)
