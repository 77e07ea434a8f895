"""Clean labels -> noisy labels, for experiments whose truth is known.

Every kind of noise is a matrix T[true, given]. The draw of a sample is a hash of the seed and its id, so that it is
the same whatever the order of the samples and whichever others there are, and so that the labels which are wrong at a
rate of 20 % are among those that are wrong at 40 %: rates are compared on the same samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.noise import transitions
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from ssl_robust.data.manifest import Manifest


@dataclass(frozen=True)
class Corruption:
    """Noisy labels and what was done to get them.

    Attributes:
        labels: (N,) int64 codes after the noise, -1 where there was no label.
        flipped: (N,) bool, where the label was changed.
        realised_rate: share of the labels open to noise that were changed.
        transition: (K, K) realised T[true, given] of the labels open to noise; rows sum to one, NaN where a class has
            no such label.
        kind: none, symmetric or class_dependent.
        rate: the rate asked for; NaN where a matrix was given.
    """

    labels: np.ndarray
    flipped: np.ndarray
    realised_rate: float
    transition: np.ndarray
    kind: str
    rate: float


def corrupt(
    labels: Sequence[int] | np.ndarray,
    *,
    kind: str,
    seed: int,
    n_classes: int | None = None,
    classes: Sequence[str] | None = None,
    ids: Sequence[Any] | np.ndarray | None = None,
    **settings: Any,
) -> Corruption:
    """Labels -> labels of which some are wrong.

    Args:
        labels: (N,) int codes in [0, K); -1 = no label, stays so.
        kind: none, symmetric or class_dependent, a file of `configs/noise/`.
        seed: same seed, same ids: same noise.
        n_classes: K; the largest label + 1 where None.
        classes: K names, where the settings speak of classes by name.
        ids: (N,) what a sample's draw hangs on; its position where None. Samples of one id share their draw, so
            patients' ids make all scans of a patient flip together.
        settings: what the kind takes (`rate`, `class_groups`, `matrix`), in place of the values of its YAML.

    Raises:
        ValueError: lengths differ (the message states both), an unknown kind or setting, or a setting that no noise
            can have.
    """
    codes = np.asarray(labels)
    if codes.ndim != 1 or (len(codes) and codes.dtype.kind not in "iu"):
        raise ValueError(f"expected labels as (N,) ints, got shape {codes.shape} of {codes.dtype}")
    codes = codes.astype(np.int64)
    largest = int(codes.max(initial=-1)) + 1
    n_classes = n_classes or (len(classes) if classes else largest)
    if largest > n_classes or codes.min(initial=0) < -1:
        raise ValueError(f"labels lie in [{codes.min()}, {codes.max()}], expected -1 or [0, {n_classes})")
    ids = range(len(codes)) if ids is None else ids
    if len(ids) != len(codes):
        raise ValueError(f"there are {len(codes)} labels and {len(ids)} ids; expected one each")
    matrix, rate = transitions.matrix_of(kind, classes or range(n_classes), settings)
    given = _draw(codes, matrix, seed=seed, ids=ids)
    return _described(codes, given, np.ones(len(codes), dtype=bool), kind=kind, rate=rate, n_classes=n_classes)


def noise_labels(manifest: Manifest, noise: Mapping[str, Any], seed: int) -> Corruption:
    """Add noise to the labels of train and val; test and scans without a label stay as they are.

    Args:
        manifest: the scans.
        noise: the `noise` node of a configuration.
        seed: same seed, same sample ids: same noise.

    Returns:
        Labels of every row of the manifest; rate and transition are of train and val.

    Raises:
        UserError: a setting does not fit, there is only one class, or a class is lost from the training split.
    """
    settings = dict(noise)
    kind = str(settings.pop("_target_", "")).rpartition(".")[2]
    clean = manifest.codes()
    table = manifest.table
    open_to_noise = table["split"].isin(["train", "val"]).to_numpy(dtype=bool)
    if kind != "none" and len(np.unique(clean[clean >= 0])) < 2:
        raise UserError("the scans have labels of fewer than two classes, so no label can be wrong; set noise=none")
    try:
        matrix, rate = transitions.matrix_of(kind, manifest.classes, settings)
    except ValueError as error:
        raise UserError(f"noise={kind}: {error}") from None
    given = clean.copy()
    given[open_to_noise] = _draw(
        clean[open_to_noise], matrix, seed=seed, ids=table["sample_id"].to_numpy()[open_to_noise]
    )
    train = manifest.rows("train")
    lost = sorted(set(clean[train]) - set(given[train]) - {-1})
    if lost:
        raise UserError(
            f"the noise leaves no training scan labelled {manifest.classes[lost[0]]!r} "
            f"({(clean[train] == lost[0]).sum()} before); lower noise.rate or take another seed"
        )
    return _described(clean, given, open_to_noise, kind=kind, rate=rate, n_classes=len(manifest.classes))


def _draw(codes: np.ndarray, matrix: np.ndarray, *, seed: int, ids: Sequence[Any] | np.ndarray | range) -> np.ndarray:
    """Each sample's given label, by two uniform numbers of its own: whether it flips, and where to."""
    given = codes.copy()
    if not (matrix - np.diag(np.diag(matrix))).any():
        return given  # nothing flips; a million hashes take seconds
    uniform = _uniform(seed, ids)
    for code in np.unique(codes[codes >= 0]):
        wrong = matrix[code].copy()
        wrong[code] = 0
        rows = np.flatnonzero((codes == code) & (uniform[:, 0] < wrong.sum()))
        cumulative = np.cumsum(wrong) / max(wrong.sum(), np.finfo(float).tiny)
        # The last class with any probability takes what rounding leaves above the cumulative sum.
        last = int(np.flatnonzero(wrong)[-1]) if len(rows) else 0
        given[rows] = np.minimum(np.searchsorted(cumulative, uniform[rows, 1], side="right"), last)
    return given


def _uniform(seed: int, ids: Sequence[Any] | np.ndarray | range) -> np.ndarray:
    """(N, 2) numbers in [0, 1), a hash of the seed and each id."""
    digests = [hashlib.blake2b(f"{seed}/{each}".encode("utf-8", "surrogatepass"), digest_size=16) for each in ids]
    whole = np.frombuffer(b"".join(each.digest() for each in digests), dtype="<u8").reshape(-1, 2)
    return (whole >> np.uint64(11)) * 2.0**-53


def _described(
    clean: np.ndarray, given: np.ndarray, open_to_noise: np.ndarray, *, kind: str, rate: float, n_classes: int
) -> Corruption:
    touched = open_to_noise & (clean >= 0)
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (clean[touched], given[touched]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    transition = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    flipped = given != clean
    realised = float(flipped[touched].mean()) if touched.any() else 0.0
    return Corruption(given, flipped, realised, transition, kind, rate)
