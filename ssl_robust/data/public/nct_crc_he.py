"""NCT-CRC-HE-100K and CRC-VAL-HE-7K, patches of colorectal tissue of nine kinds -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import manifest_of, rows_of_classes

CLASSES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
_TEST = "CRC-VAL-HE-7K"


def read_nct_crc_he(
    *,
    path: str,
    homepage: str,
    train: str,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`NCT-CRC-HE-100K/CLASS/x.tif` as train and `CRC-VAL-HE-7K/CLASS/x.tif` as test -> manifest.

    No file says whose tissue it shows, so that the validation split made here shares patients with train.

    Args:
        path: the folder that holds both.
        homepage: where the set is downloaded.
        train: folder of the training patches.
        classes: the nine names in another order; None: alphabetical.
        fractions: `val`: share of the official training scans that become the validation split.
        split_seed: seed of that split.

    Raises:
        UserError: a folder is missing, or holds no image.
    """
    layout = Layout(path, homepage, landmark=train)
    rows = [
        row
        for split, folder in (("train", train), ("test", _TEST))
        for row in rows_of_classes(layout, layout.folder(folder), split=split, classes=CLASSES)
    ]
    return manifest_of(rows, layout, classes=classes or CLASSES, fractions=fractions, split_seed=split_seed)
