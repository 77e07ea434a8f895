"""MURA, radiographs of the upper limb by body part or by whether they are normal -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import Row, manifest_of
from ssl_robust.files import UserError

_PARTS = {f"XR_{part.upper()}": part for part in ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")}
_FINDINGS = {"negative": "normal", "positive": "abnormal"}
CLASSES = {"body_part": tuple(_PARTS.values()), "abnormality": tuple(_FINDINGS.values())}
# The owners keep the test set; what they call valid is what the literature reports on.
_SPLITS = {"train": "train", "test": "valid"}


def read_mura(
    *,
    path: str,
    homepage: str,
    label: str,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`{train,valid}/XR_PART/patientN/studyN_{negative,positive}/x.png` -> manifest; `valid` becomes the test split.

    Args:
        path: the folder that holds `train` and `valid`.
        homepage: where the set is downloaded.
        label: body_part or abnormality.
        classes: the names of the classes in another order; None: alphabetical, or normal before abnormal.
        fractions: `val`: share of the official training scans that become the validation split, whole patients.
        split_seed: seed of that split.

    Raises:
        UserError: an unknown label, a folder or image is missing, or a folder holds no image or is not called as above.
    """
    if label not in CLASSES:
        raise UserError(f"data.label={label} does not exist; choose {' or '.join(CLASSES)}")
    layout = Layout(path, homepage, landmark="train")
    rows = [
        _row(name, split, label)
        for split, folder in _SPLITS.items()
        for part in _PARTS
        for name in layout.images(f"{folder}/{part}")
    ]
    for folder in _SPLITS.values():
        _check_complete(layout, f"{folder}_image_paths.csv")
    return manifest_of(rows, layout, classes=classes or CLASSES[label], fractions=fractions, split_seed=split_seed)


def _check_complete(layout: Layout, table: str) -> None:
    """The images that an official list names, if it lies there, must have come along: an archive may break off."""
    if (layout.root / table).is_file():
        lines = (layout.root / table).read_text(encoding="utf-8", errors="replace").splitlines()
        # MURA-v1.1/train/XR_ELBOW/… without a header; copies of the list have one.
        layout.check_files((line.partition("/")[2].rstrip(",") for line in lines if "/" in line), named_in=table)


def _row(name: str, split: str, label: str) -> Row:
    """`train/XR_ELBOW/patient00011/study1_negative/image1.png` -> its row."""
    folders = name.split("/")[1:-1]
    finding = _FINDINGS.get(folders[-1].rpartition("_")[2])
    if len(folders) != 3 or finding is None:
        raise UserError(
            f"{name} does not lie in XR_PART/patientN/studyN_negative (or _positive); unpack the official archive anew"
        )
    return Row(name, _PARTS[folders[0]] if label == "body_part" else finding, split, folders[1])
