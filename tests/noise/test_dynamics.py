import numpy as np
import torch
from torch.nn import functional as F

from ssl_robust.noise.dynamics import GradientSpread, last_layer_gradients, loss_and_margin


def test_loss_and_margin_of_the_logits():
    logits = np.random.default_rng(0).normal(size=(6, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = np.array([0, 1, 2, 3, 0, 1])
    loss, margin = loss_and_margin(given, p.astype(np.float32))
    np.testing.assert_allclose(loss, -np.log(p[np.arange(6), given]), rtol=2e-3)
    others = logits.copy()
    others[np.arange(6), given] = -np.inf
    np.testing.assert_allclose(margin, logits[np.arange(6), given] - others.max(axis=1), rtol=2e-3, atol=2e-3)
    assert np.isfinite(loss_and_margin(np.array([1]), np.array([[1.0, 0.0]]))[0]).all()


def test_gradients_are_those_of_autograd():
    rng = np.random.default_rng(0)
    features, given = rng.normal(size=(6, 5)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0])
    head = torch.nn.Linear(5, 3)
    own = head(torch.from_numpy(features)).softmax(dim=1)[torch.arange(6), torch.from_numpy(given)]
    found = last_layer_gradients(features, own.detach().numpy())
    assert found.dtype == np.float32
    for row, label in enumerate(given):
        head.zero_grad()
        F.cross_entropy(head(torch.from_numpy(features[row : row + 1])), torch.tensor([label])).backward()
        expected = [*head.weight.grad[label], head.bias.grad[label]]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


def test_spread_equals_the_mean_deviation_of_the_kept_gradients():
    epochs = np.random.default_rng(0).normal(size=(5, 7, 4)).astype(np.float32)
    spread = GradientSpread.empty(7, 4)
    for gradients in epochs:
        spread.start_epoch()
        for rows in (slice(0, 3), slice(3, 7)):
            spread.add(rows, gradients[rows])
    np.testing.assert_allclose(spread.variance(), epochs.astype(np.float64).std(axis=0).mean(axis=1), rtol=1e-5)
    assert spread.variance().shape == (7,)


def test_gradients_that_stay_the_same_do_not_vary():
    spread = GradientSpread.empty(2, 3)
    for scale in (1, 1, 1):
        spread.start_epoch()
        spread.add(slice(0, 2), np.full((2, 3), scale, dtype=np.float32))
    assert spread.variance().tolist() == [0, 0]
