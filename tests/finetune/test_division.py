import numpy as np
import pytest
import torch

from ssl_robust.finetune.division import clean_probability, divide, sharpen


def test_a_known_mixture_is_told_apart():
    rng = np.random.default_rng(0)
    wrong = rng.random(600) < 0.3
    losses = np.where(wrong, rng.normal(3, 0.4, 600), rng.normal(0.3, 0.1, 600)).astype(np.float32)
    clean = clean_probability(losses)
    np.testing.assert_array_equal(clean < 0.5, wrong)
    order = rng.permutation(600)
    np.testing.assert_allclose(clean_probability(losses[order]), clean[order], atol=1e-3)


def test_posterior_is_bayes_rule_on_scaled_losses():
    from sklearn.mixture import GaussianMixture

    losses = np.random.default_rng(1).gamma(1.0, size=200)
    scaled = (losses - losses.min()) / (losses.max() - losses.min())
    mixture = GaussianMixture(2, max_iter=100, tol=1e-2, reg_covar=5e-4, random_state=0).fit(scaled[:, None])
    means, variances = mixture.means_[:, 0], mixture.covariances_[:, 0, 0]
    parts = mixture.weights_ * np.exp(-((scaled[:, None] - means) ** 2) / (2 * variances)) / np.sqrt(variances)
    expected = parts[:, means.argmin()] / parts.sum(axis=1)
    np.testing.assert_allclose(clean_probability(losses), expected, atol=1e-8)


@pytest.mark.parametrize("losses", [np.zeros(9), np.full(9, 0.7), np.full(1, 2.0)])
def test_losses_that_are_alike_tell_nothing(losses):
    np.testing.assert_array_equal(clean_probability(losses), np.ones(len(losses)))


def test_a_split_without_labels_believes_all_of_them():
    labelled, believed = divide(np.array([0.9, 0.2, 0.7, 0.1]), 0.5)
    np.testing.assert_array_equal(labelled, [True, False, True, False])
    np.testing.assert_array_equal(believed, [0.9, 0.2, 0.7, 0.1])
    for clean in ([0.4, 0.2, 0.1], [0.9, 0.2, 0.1]):  # one alone cannot be normalised over the batch
        labelled, believed = divide(np.array(clean), 0.5)
        assert labelled.all()
        np.testing.assert_array_equal(believed, 1)


def test_sharpening_is_the_formula_and_bears_a_low_temperature():
    p = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]], dtype=np.float32)
    expected = p**2 / (p**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sharpen(torch.from_numpy(p), 0.5), expected, rtol=1e-6)
    np.testing.assert_allclose(sharpen(torch.from_numpy(p), 1.0), p, rtol=1e-6)
    cold = sharpen(torch.full((1, 8), 1 / 8), 0.01)
    np.testing.assert_allclose(cold, 1 / 8)
