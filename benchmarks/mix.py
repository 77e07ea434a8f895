"""Several sets of scans and the phantoms -> one npz of RGB scans, from which an encoder for all of them is pretrained.

    python benchmarks/mix.py cxr_pneumonia_64.npz malaria_nih_64.npz busi_64.npz --out mixture.npz
    ssl-robust pretrain data=npz data.path=mixture.npz …

The sets are npz files in MedMNIST's layout at one size, each with its splits kept, so that nobody's test scans are
learned from; a small set is repeated until it has `--least` training scans. Grey scans get three equal channels. A
label is set and class, for the monitor alone.
"""

import argparse
from pathlib import Path

import numpy as np

from ssl_robust.data.phantoms import make_phantoms
from ssl_robust.files import replacing
from ssl_robust.settings import defaults

SPLITS = {"train": 0.7, "val": 0.1, "test": 0.2}


def in_color(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)


def phantoms(size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Coloured phantoms, split by patient."""
    values = defaults("data", "phantoms")
    keys = ("n_patients", "scans_per_patient", "difficulty", "imbalance", "seed")
    made = make_phantoms(size=size, channels=3, **{key: values[key] for key in keys})
    bounds = np.cumsum([share * values["n_patients"] for share in SPLITS.values()])
    of_split = np.searchsorted(bounds, made.patients, side="right")
    return {name: (made.images[of_split == i], made.labels[of_split == i]) for i, name in enumerate(SPLITS)}


def read(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: (file[f"{name}_images"], file[f"{name}_labels"].ravel()) for name in SPLITS}


def main() -> None:
    """Write the mixture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--least", type=int, default=2000, help="training scans of each set")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sets = [read(path) for path in options.sets]
    sets.append(phantoms(sets[0]["train"][0].shape[1]))
    arrays: dict[str, list[np.ndarray]] = {}
    first = 0
    for each in sets:
        for split, (images, labels) in each.items():
            times = -(-options.least // len(images)) if split == "train" else 1
            arrays.setdefault(f"{split}_images", []).append(np.tile(in_color(images), (times, 1, 1, 1)))
            arrays.setdefault(f"{split}_labels", []).append(np.tile(labels + first, times))
        first += 1 + max(int(labels.max()) for _, labels in each.values())
    with replacing(options.out) as temporary:
        np.savez(temporary, **{name: np.concatenate(parts) for name, parts in arrays.items()})
    print(f"{options.out}: {sum(map(len, arrays['train_labels']))} training scans of {len(sets)} sets, {first} classes")


if __name__ == "__main__":
    main()
