import hashlib

import numpy as np
import pytest
from scipy.stats import truncnorm

from ssl_robust.noise.corruption import corrupt
from ssl_robust.noise.instances import InstanceDependent


def noise(rate=0.2, side=4, n_classes=3):
    return InstanceDependent(rate=rate, std=0.1, side=side, n_classes=n_classes)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.2, 0.45])
def test_rates_are_a_truncated_normal_with_the_mean_asked_for(rate):
    uniform = (np.arange(20_000) + 0.5) / 20_000
    got = noise(rate).rates(uniform)
    assert got.mean() == pytest.approx(rate, rel=1e-3)
    assert got.min() >= 0
    assert got.max() <= 1
    assert (np.diff(got) > 0).all()
    if rate == 0.45:  # hardly cut: the paper's own
        np.testing.assert_allclose(got, truncnorm.ppf(uniform, -4.5, 5.5, 0.45, 0.1), atol=1e-4)


def test_wrong_follows_the_formula():
    rng = np.random.default_rng(0)
    x, q, code, seed = rng.normal(size=(5, 6)) / 3, rng.random(5), 1, 7
    digest = hashlib.blake2b(b"7/projection/1", digest_size=16).digest()
    w = np.random.default_rng(int.from_bytes(digest, "little")).standard_normal((6, 3))
    got = noise().wrong(code, x, q, seed=seed)
    for i in range(5):
        p = np.array([x[i] @ w[:, 0], -np.inf, x[i] @ w[:, 2]])
        expected = q[i] * np.exp(p) / np.exp(p).sum()
        np.testing.assert_allclose(got[i], expected, rtol=1e-9)
    np.testing.assert_allclose(got.sum(axis=1), q)


def test_samples_are_taken_for_what_they_are_nearest_to():
    x = np.random.default_rng(1).normal(size=(3000, 20))
    labels = np.tile([0, 1, 2, 3], 750)
    got = corrupt(labels, kind="instance_dependent", rate=0.4, seed=3, features=x)
    n, shared = noise(0.4, n_classes=4), 0
    for code in range(4):
        mine = got.flipped & (labels == code)
        likely = n.wrong(code, n.standardised(x[mine]), np.ones(mine.sum()), seed=3).argmax(axis=1)
        shared += (got.labels[mine] == likely).sum()
    assert shared / got.flipped.sum() > 0.75


def test_brightness_contrast_and_bit_depth_do_not_count():
    scans = np.random.default_rng(2).integers(100, size=(30, 10, 10, 3)).astype(np.uint8)
    expected = noise().standardised(scans)
    assert expected.shape == (30, 4 * 4 * 3)
    np.testing.assert_allclose(expected.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(expected.std(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(noise().standardised(scans.astype(np.uint16) * 257 + 9), expected, atol=1e-5)
    np.testing.assert_allclose(noise(side=99).standardised(scans), noise().standardised(scans.reshape(30, -1)))
    assert np.isfinite(noise().standardised(np.zeros((2, 8, 8, 1), np.uint8))).all()


def test_shrinking_takes_means_of_patches():
    scan = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)
    got = noise(side=2).standardised(scan)[0]
    patches = np.array([scan[0, a : a + 3, b : b + 3].mean() for a in (0, 3) for b in (0, 3)])
    np.testing.assert_allclose(got, (patches - patches.mean()) / patches.std(), rtol=1e-5)


def test_a_number_that_is_not_finite_is_named():
    x = np.ones((4, 3))
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match="row 2 of features"):
        corrupt([0, 1, 2, 0], kind="instance_dependent", seed=0, features=x)
