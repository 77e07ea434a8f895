"""Draw phantoms: many scans at once, each from its own random stream, so that any subset comes out the same.

A phantom is a tissue (fibres or nodules, both filtered noise) with several lesions (discs, rings, stars) on
it, stained and photographed. What tells the classes apart is shape and texture. What does not: tissue and lesions have
the same amount of stain in every class, so colours and brightness say next to nothing; orientation, position, number,
size, stain, light and noise are drawn without regard to the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

TISSUES = ("fibrous", "nodular")
LESIONS = ("round", "ring", "spiculated")
CLASSES = tuple(f"{tissue}-{lesion}" for tissue in TISSUES for lesion in LESIONS)

_MAX_LESIONS = 12
_GRID = 4  # lesions stand in different cells of a 4 x 4 grid, jittered, so that they hardly overlap
_RADIUS = 0.075  # of a full disc, as a share of the side
_HOLE = 0.62  # inner over outer radius of a ring
_SPIKES = 0.42  # amplitude of a star's outline
# Absorbance of the two stains in red, green and blue (H&E as in Ruifrok and Johnston 2001), and their mean for grey.
_TISSUE_STAIN = np.array([0.07, 0.99, 0.11])
_LESION_STAIN = np.array([0.65, 0.70, 0.29])
# Values z of a normal variable, and the values of |z| with the same cumulative probability.
_NORMAL = NormalDist()
_HALF_NORMAL = (
    np.linspace(-4, 4, 401),
    np.array([_NORMAL.inv_cdf((1 + _NORMAL.cdf(z)) / 2) for z in np.linspace(-4, 4, 401)]),
)


@dataclass(frozen=True)
class Plan:
    """Which scans there are, before any is drawn; all arrays have one entry per scan.

    Attributes:
        labels: (N,) int64 index into `CLASSES`.
        patients: (N,) int64.
        seed: of the whole set.
        size: side in pixels.
        channels: 1 or 3.
        difficulty: in [0, 1].
    """

    labels: np.ndarray
    patients: np.ndarray
    seed: int
    size: int
    channels: int
    difficulty: float


def render(plan: Plan, rows: np.ndarray) -> np.ndarray:
    """Scans of a plan -> pixels: (n, S, S) or (n, S, S, 3) uint8, the same whatever else is drawn beside them.

    Args:
        plan: the set.
        rows: (n,) scan numbers.
    """
    draws = _Draws(plan, rows)
    tissue = _tissue(plan, rows, draws)
    lesions = _lesions(plan, rows, draws)
    return _photograph(plan, tissue, lesions, draws)


class _Draws:
    """The random numbers of some scans: one stream per scan, one per patient."""

    def __init__(self, plan: Plan, rows: np.ndarray) -> None:
        self._scans = [np.random.default_rng([plan.seed, 1, row]) for row in rows]
        traits = {
            p: np.random.default_rng([plan.seed, 2, p]).standard_normal(12).astype(np.float32)
            for p in plan.patients[rows]
        }
        # (n, 12) standard normal traits of the patient, shared by all scans of that patient
        self.patient = np.array([traits[p] for p in plan.patients[rows]])

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        values = np.stack([scan.random(shape, dtype=np.float32) for scan in self._scans])
        return np.float32(low) + np.float32(high - low) * values

    def normal(self, *shape: int) -> np.ndarray:
        return np.stack([scan.standard_normal(shape, dtype=np.float32) for scan in self._scans])


def _filtered(noise: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """White noise (n, S, S) through a real transfer function (n, S, S // 2 + 1), scaled to unit variance per scan."""
    field = np.fft.irfft2(np.fft.rfft2(noise) * gain, s=noise.shape[1:]).astype(np.float32)
    return field / field.std(axis=(1, 2), keepdims=True)


def _frequencies(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertical and horizontal frequency in cycles per side: (S, 1) and (1, S // 2 + 1) float32."""
    vertical = np.fft.fftfreq(size, 1 / size).astype(np.float32)[:, None]
    return vertical, np.fft.rfftfreq(size, 1 / size).astype(np.float32)[None]


def _tissue(plan: Plan, rows: np.ndarray, draws: _Draws) -> np.ndarray:
    """(n, S, S) in [0, 1]: fibres along the zero lines of elongated noise, or nodules in the hollows of round noise."""
    vertical, horizontal = _frequencies(plan.size)
    fibrous = (plan.labels[rows] // len(LESIONS) == TISSUES.index("fibrous"))[:, None, None]
    stretch = np.where(fibrous, np.float32(3 - 1.5 * plan.difficulty), np.float32(1))
    angle = draws.uniform(1, 1, high=np.pi)
    along = np.cos(angle) * horizontal + np.sin(angle) * vertical
    across = np.cos(angle) * vertical - np.sin(angle) * horizontal
    # The stretch keeps the area in the frequency plane, hence the amount of detail.
    radius = np.sqrt(along**2 * stretch + across**2 / stretch)
    pitch = 5.5 * np.exp(0.15 * draws.patient[:, 0, None, None] + 0.10 * draws.normal(1, 1))
    band = np.exp(-0.5 * ((radius - pitch) / (0.35 * pitch)) ** 2)
    field = _filtered(draws.normal(plan.size, plan.size), band)
    # |z| of normal noise z, or the quantile that gives the noise itself the distribution of |z|: equal histograms.
    depth = np.where(fibrous, np.abs(field), np.interp(field, *_HALF_NORMAL))
    return np.exp(-depth / 0.45).astype(np.float32)


def _lesions(plan: Plan, rows: np.ndarray, draws: _Draws) -> np.ndarray:
    """(n, S, S) in [0, 1]: the union of a scan's lesions; the same area in all classes."""
    cells = np.argsort(draws.uniform(_GRID**2), axis=1)[:, :_MAX_LESIONS]
    corner = np.stack([cells % _GRID, cells // _GRID], axis=-1).astype(np.float32)
    middle = (corner + draws.uniform(_MAX_LESIONS, 2, low=0.35, high=0.65)) / _GRID
    present = np.arange(_MAX_LESIONS) < 7 + np.floor(draws.uniform(1, high=_MAX_LESIONS - 6))
    radius = _RADIUS * np.exp(0.10 * draws.patient[:, 1, None] + 0.15 * draws.normal(_MAX_LESIONS))
    phases = draws.uniform(_MAX_LESIONS, 3, high=2 * np.pi)
    spikes = 6 + np.floor(draws.uniform(_MAX_LESIONS, high=3))
    kind = plan.labels[rows] % len(LESIONS)
    union = np.zeros((len(rows), plan.size, plan.size), np.float32)
    for j in range(_MAX_LESIONS):
        lesion = _lesion(plan, kind, middle[:, j], radius[:, j], phases[:, j], spikes[:, j])
        np.maximum(union, lesion * present[:, j, None, None], out=union)
    return union


def _lesion(
    plan: Plan, kind: np.ndarray, middle: np.ndarray, radius: np.ndarray, phases: np.ndarray, spikes: np.ndarray
) -> np.ndarray:
    """(n, S, S) in [0, 1]: one lesion of each scan, soft at the edge; every kind covers pi x radius^2."""
    ring = (kind == LESIONS.index("ring"))[:, None, None]
    amplitude = np.where(kind == LESIONS.index("spiculated"), _SPIKES, 0).astype(np.float32)
    # A ring is wider by what its hole takes; the mean squared radius of a spiked outline is 1 + amplitude^2 / 2.
    radius = radius * np.where(ring[:, 0, 0], (1 - _HOLE**2) ** -0.5, (1 + amplitude**2 / 2) ** -0.5)
    pixels = (np.arange(plan.size, dtype=np.float32) + 0.5) / plan.size
    x = pixels[None, None, :] - middle[:, 0, None, None]
    y = pixels[None, :, None] - middle[:, 1, None, None]
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    two, three, many = phases.T[:, :, None, None]
    irregular = 0.045 + 0.07 * plan.difficulty
    outline = 1 + irregular * (np.cos(2 * angle + two) + np.cos(3 * angle + three))
    outline *= 1 + amplitude[:, None, None] * np.cos(spikes[:, None, None] * angle + many)
    edge = radius.astype(np.float32)[:, None, None] * outline
    soft = 0.6 / plan.size
    return _step((edge - distance) / soft) - ring * _step((_HOLE * edge - distance) / soft)


def _step(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -20, 20)))


def _photograph(plan: Plan, tissue: np.ndarray, lesions: np.ndarray, draws: _Draws) -> np.ndarray:
    """Stain, light and camera: Beer-Lambert absorption, a gradient of light, sensor noise, 8 bits."""
    side = plan.size
    dots = _filtered(draws.normal(side, side), np.exp(-0.5 * (np.hypot(*_frequencies(side)) / 9) ** 2)[None])
    traits = draws.patient[:, :, None]
    tissue_stain = np.clip(_TISSUE_STAIN + 0.07 * traits[:, 2:5, 0] + 0.05 * draws.normal(3), 0.02, None)
    lesion_stain = np.clip(_LESION_STAIN + 0.07 * traits[:, 5:8, 0] + 0.05 * draws.normal(3), 0.02, None)
    if plan.channels == 1:
        tissue_stain, lesion_stain = tissue_stain.mean(1, keepdims=True), lesion_stain.mean(1, keepdims=True)
    dose = np.exp(0.10 * draws.patient[:, 8:10] + 0.20 * draws.normal(2))[:, :, None, None]
    strength = 1.25 - 0.75 * plan.difficulty
    tissue_amount = 0.15 + 0.55 * tissue * dose[:, 0] * (1 - 0.5 * lesions)
    lesion_amount = (strength * lesions * (0.85 + 0.15 * np.tanh(dots)) + 0.5 * _step((dots - 1.9) / 0.1)) * dose[:, 1]
    absorbed = (
        tissue_amount[..., None] * tissue_stain[:, None, None] + lesion_amount[..., None] * lesion_stain[:, None, None]
    )
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    slope = 0.08 * draws.normal(2)[:, :, None, None]
    light = 0.90 + 0.08 * draws.normal(1, 1) + slope[:, 0] * ramp[None, None] + slope[:, 1] * ramp[None, :, None]
    noise = (0.02 + 0.05 * plan.difficulty) * draws.normal(side, side, plan.channels)
    pixels = light[..., None] * np.exp(-absorbed) + noise
    stored = (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
    return stored if plan.channels == 3 else stored[..., 0]
