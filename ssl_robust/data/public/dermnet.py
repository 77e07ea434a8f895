"""DermNet's clinical photographs of 23 groups of skin diseases -> manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import manifest_of, rows_of_classes

CLASSES = (
    "Acne and Rosacea Photos",
    "Actinic Keratosis Basal Cell Carcinoma and other Malignant Lesions",
    "Atopic Dermatitis Photos",
    "Bullous Disease Photos",
    "Cellulitis Impetigo and other Bacterial Infections",
    "Eczema Photos",
    "Exanthems and Drug Eruptions",
    "Hair Loss Photos Alopecia and other Hair Diseases",
    "Herpes HPV and other STDs Photos",
    "Light Diseases and Disorders of Pigmentation",
    "Lupus and other Connective Tissue diseases",
    "Melanoma Skin Cancer Nevi and Moles",
    "Nail Fungus and other Nail Disease",
    "Poison Ivy Photos and other Contact Dermatitis",
    "Psoriasis pictures Lichen Planus and related diseases",
    "Scabies Lyme Disease and other Infestations and Bites",
    "Seborrheic Keratoses and other Benign Tumors",
    "Systemic Disease",
    "Tinea Ringworm Candidiasis and other Fungal Infections",
    "Urticaria Hives",
    "Vascular Tumors",
    "Vasculitis Photos",
    "Warts Molluscum and other Viral Infections",
)


def read_dermnet(
    *,
    path: str,
    homepage: str,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`train/CLASS/x.jpg` and `test/CLASS/x.jpg` -> manifest; patients are unknown.

    Args:
        path: the folder that holds `train` and `test`.
        homepage: where the set is downloaded.
        classes: the 23 names in another order; None: alphabetical, as in the archive.
        fractions: `val`: share of the official training scans that become the validation split.
        split_seed: seed of that split.

    Raises:
        UserError: a folder is missing, or holds no image.
    """
    layout = Layout(path, homepage, landmark="train")
    rows = [row for split in ("train", "test") for row in rows_of_classes(layout, split, split=split, classes=CLASSES)]
    return manifest_of(rows, layout, classes=classes or CLASSES, fractions=fractions, split_seed=split_seed)
