import numpy as np
import pytest

from ssl_robust import spectra


def test_effective_rank():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 16))
    p = np.linalg.svd(vectors, compute_uv=False)
    p = p / p.sum() + 1e-7
    assert spectra.effective_rank(vectors) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-3)
    assert spectra.effective_rank(np.eye(8)) == pytest.approx(8, rel=1e-4)
    assert spectra.effective_rank(np.ones((5, 4))) == pytest.approx(1, abs=1e-4)
    assert spectra.effective_rank(np.zeros((5, 4))) == 0
    assert spectra.effective_rank(rng.normal(size=(4, 50))) <= 4.001


def test_feature_spread():
    rng = np.random.default_rng(0)
    assert spectra.feature_spread(rng.normal(size=(2000, 32))) == pytest.approx(1, rel=0.05)
    assert spectra.feature_spread(np.ones((10, 32))) == pytest.approx(0, abs=1e-6)


def test_lidar_counts_the_directions_in_which_scans_differ_beyond_their_views():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(300, 12)) * ([1.0] * 5 + [0.0] * 7)
    views = means[:, None] + 0.05 * rng.normal(size=(300, 6, 12))
    assert spectra.lidar(views) == pytest.approx(5, rel=0.1)
    noisy = views.copy()
    noisy[:, :, :2] += 5 * rng.normal(size=(300, 6, 2))  # two of the five now vary between views of one scan
    assert spectra.lidar(noisy) == pytest.approx(3, rel=0.1)
    assert spectra.lidar(np.ones((10, 3, 4))) == 0
    assert spectra.lidar(rng.normal(size=(1, 3, 4))) == 0
    few = rng.normal(size=(10, 1, 64)) + rng.normal(size=(10, 3, 64))
    assert spectra.lidar(1e3 * few) > 1
    assert np.isnan(spectra.lidar(1e8 * few))


def test_lidar_is_its_formula():
    rng = np.random.default_rng(1)
    views = rng.normal(size=(20, 3, 4)) + rng.normal(size=(20, 1, 4))
    means = views.mean(axis=1)
    between = np.cov(means.T, bias=True)
    within = np.mean([np.outer(v - m, v - m) for m, vs in zip(means, views, strict=True) for v in vs], axis=0)
    roots, basis = np.linalg.eigh(within + 1e-4 * np.eye(4))
    inverse_root = basis @ np.diag(roots**-0.5) @ basis.T
    p = np.linalg.eigvalsh(inverse_root @ between @ inverse_root)
    p = p / p.sum() + 1e-7
    assert spectra.lidar(views) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_spectral_decay_finds_a_planted_exponent(alpha):
    vectors = np.random.default_rng(0).normal(size=(20_000, 128)) * np.arange(1, 129) ** (-alpha / 2)
    assert spectra.spectral_decay(vectors) == pytest.approx(alpha, rel=0.05)
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(128, 128)))[0]
    assert spectra.spectral_decay(vectors @ turned + 3) == pytest.approx(spectra.spectral_decay(vectors), abs=1e-6)


def test_spectral_decay_of_few_directions_is_unknown():
    few = np.random.default_rng(0).normal(size=(100, 3)) @ np.random.default_rng(1).normal(size=(3, 64))
    assert np.isnan(spectra.spectral_decay(few))
    assert np.isnan(spectra.spectral_decay(np.ones((50, 16))))
    for shape in ((1, 16), (7, 16), (50, 6), (50, 1)):
        assert np.isnan(spectra.spectral_decay(np.random.default_rng(0).normal(size=shape)))
    assert np.isfinite(spectra.spectral_decay(np.random.default_rng(0).normal(size=(8, 7))))
