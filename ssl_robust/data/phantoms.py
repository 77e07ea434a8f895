"""The embedded default data: phantoms, drawn on the spot, whose truth is known.

Six classes = two tissues x three kinds of lesion; about 2,900 scans of 240 patients. A patient has a stain, a light, a
coarseness and a size of lesions of his own, and mostly scans of one class, as patients do.

Balanced accuracy on the test patients at the values of `configs/data/phantoms.yaml`, kNN / logistic probe, by
`benchmarks/transfer.py`, mean of three seeds of training: colour histogram .19 / .25 (chance .17), untrained resnet10t
.38 / .83, six epochs of SimCLR .83 / .95; resnet10t trained on the true labels .98 (one seed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ssl_robust.data.manifest import Manifest, build_manifest, digest
from ssl_robust.data.phantom_render import CLASSES, Plan, render
from ssl_robust.run import UserError

_CHUNK = 64  # scans drawn at once: fast, and some 50 MB of temporary arrays at 64 px
_VERSION = 3  # of the drawing; a change of the pictures must reach the fingerprint
# Share of a patient's scans that are of the patient's own class; the others are drawn like everyone's.
_CONCORDANCE = 0.6


class Phantoms(NamedTuple):
    """All scans of a set at once.

    Attributes:
        images: (N, S, S) or (N, S, S, 3) uint8.
        labels: (N,) int64 true classes, indices of `CLASSES`.
        patients: (N,) int64.
    """

    images: np.ndarray
    labels: np.ndarray
    patients: np.ndarray


def plan_phantoms(
    *,
    n_patients: int,
    scans_per_patient: int,
    size: int,
    channels: int,
    difficulty: float,
    imbalance: float,
    seed: int,
) -> Plan:
    """Decide who has what, before anything is drawn.

    Args:
        n_patients: patients.
        scans_per_patient: scans of each patient.
        size: side in pixels.
        channels: 3 = stained sections, 1 = grey.
        difficulty: in [0, 1]; 0 = strong stain, regular shapes, no noise.
        imbalance: how many times the most frequent class is expected to outnumber the rarest one; 1 = all alike.
        seed: of everything.

    Raises:
        ValueError: a value outside its range.
    """
    if min(n_patients, scans_per_patient) < 1 or size < 16 or channels not in (1, 3):
        raise ValueError("expected n_patients >= 1, scans_per_patient >= 1, size >= 16 and channels of 1 or 3")
    if not 0 <= difficulty <= 1 or imbalance < 1:
        raise ValueError(f"expected difficulty in [0, 1] and imbalance >= 1, got {difficulty} and {imbalance}")
    rng = np.random.default_rng([seed, 0])
    frequencies = imbalance ** -np.linspace(0, 1, len(CLASSES))
    frequencies = rng.permutation(frequencies / frequencies.sum())  # which class is rare has nothing to do with it
    patients = np.repeat(np.arange(n_patients), scans_per_patient)
    own = rng.choice(len(CLASSES), n_patients, p=frequencies)[patients]
    other = rng.choice(len(CLASSES), len(patients), p=frequencies)
    labels = np.where(rng.random(len(patients)) < _CONCORDANCE, own, other).astype(np.int64)
    return Plan(labels, patients, seed, size, channels, difficulty)


def make_phantoms(
    *,
    n_patients: int,
    scans_per_patient: int,
    size: int,
    channels: int,
    difficulty: float,
    imbalance: float,
    seed: int,
) -> Phantoms:
    """Draw a whole set into memory; the arguments are those of `plan_phantoms`."""
    plan = plan_phantoms(
        n_patients=n_patients,
        scans_per_patient=scans_per_patient,
        size=size,
        channels=channels,
        difficulty=difficulty,
        imbalance=imbalance,
        seed=seed,
    )
    source = PhantomSource(plan)
    return Phantoms(np.stack([source.read(row) for row in range(len(plan.labels))]), plan.labels, plan.patients)


class PhantomSource:
    """Pixels of a plan, drawn when they are read: a chunk at a time, which the next rows find ready.

    Args:
        plan: from `plan_phantoms`.
    """

    files = None
    states = None

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        settings = (plan.seed, plan.size, plan.channels, plan.difficulty)
        self.fingerprint = digest(f"phantoms {_VERSION} {settings}", plan.labels.tobytes().hex())
        self._start = -1
        self._chunk = np.empty(0)

    @property
    def state(self) -> str:
        """The fingerprint: there are no files that could change."""
        return self.fingerprint

    def read(self, row: int) -> np.ndarray:
        """(S, S) or (S, S, 3) uint8."""
        start = row // _CHUNK * _CHUNK
        if start != self._start:
            self._chunk = render(self.plan, np.arange(start, min(start + _CHUNK, len(self.plan.labels))))
            self._start = start
        return self._chunk[row - start]


def read_phantoms(
    *,
    n_patients: int,
    scans_per_patient: int,
    size: int,
    color: bool,
    difficulty: float,
    imbalance: float,
    seed: int,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """Phantoms -> manifest with ids `phantom-00000`, patients and splits; `label` is the truth, as is `true_label`.

    Args:
        n_patients: to `seed` as in `plan_phantoms`; `color` is 3 channels, else 1.
        scans_per_patient: see above.
        size: see above.
        color: see above.
        difficulty: see above.
        imbalance: see above.
        seed: see above.
        fractions: shares of `val` and `test`.
        split_seed: seed of the splits.

    Raises:
        UserError: a value outside its range.
    """
    try:
        plan = plan_phantoms(
            n_patients=n_patients,
            scans_per_patient=scans_per_patient,
            size=size,
            channels=3 if color else 1,
            difficulty=difficulty,
            imbalance=imbalance,
            seed=seed,
        )
    except ValueError as error:
        raise UserError(f"data=phantoms: {error}") from None
    names = np.array(CLASSES)[plan.labels]
    columns = {
        "sample_id": [f"phantom-{row:05d}" for row in range(len(names))],
        "patient_id": [f"patient-{patient:04d}" for patient in plan.patients],
        "label": names,
        "true_label": names,
    }
    return build_manifest(
        columns,
        PhantomSource(plan),
        classes=CLASSES,
        fractions=fractions,
        split_seed=split_seed,
        where="data=phantoms",
    )
