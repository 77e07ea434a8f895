import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.selection import GradientWindow, forget_rate, small_loss, small_loss_and_variance
from ssl_robust.finetune.strategy import Evaluation

N, D, K = 11, 4, 3


def test_forget_rate_rises_linearly_and_stays():
    np.testing.assert_allclose([forget_rate(0.4, epoch, 4) for epoch in range(7)], [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert forget_rate(0.4, 0, 0) == 0.4


@pytest.mark.parametrize(("forget", "n", "kept"), [(0.0, 7, 7), (0.4, 10, 6), (0.3, 10, 7), (0.5, 7, 3), (0.99, 7, 1)])
def test_the_smallest_losses_are_kept(forget, n, kept):
    losses = np.random.default_rng(n).normal(size=n)
    picks = small_loss(torch.from_numpy(losses), forget)
    np.testing.assert_array_equal(picks, np.argsort(losses)[:kept])


def test_losses_first_then_variances_of_the_rest_equals_the_selection_written_out():
    rng = np.random.default_rng(0)
    losses, variance = rng.normal(size=40), rng.random(40)
    m = int(np.floor((1 - 0.3) * 40))
    small = np.argsort(losses)[: int(np.floor(0.8 * m))]
    rest = np.setdiff1d(np.arange(40), small)
    settled = rest[np.argsort(variance[rest])][: int(np.floor(0.2 * m))]
    picks = small_loss_and_variance(torch.from_numpy(losses), torch.from_numpy(variance), 0.3, variance_share=0.2)
    np.testing.assert_array_equal(picks, [*small, *settled])
    assert set(settled) - set(np.argsort(losses)[:m]), "the variance must choose what the loss does not"


def test_without_anything_to_forget_all_are_kept():
    losses = torch.rand(63)
    picks = small_loss_and_variance(losses, torch.rand(63), 0.0, variance_share=0.2)
    assert sorted(picks.tolist()) == list(range(63))


def gradients(model, features, labels):
    """The given label's row of each sample's gradient, by autograd."""
    rows = []
    for each, label in zip(features, labels, strict=True):
        model.zero_grad()
        F.cross_entropy(model(each[None]), label[None]).backward()
        rows.append([*model.head.weight.grad[label].tolist(), model.head.bias.grad[label].item()])
    return rows


def test_variance_is_that_of_the_last_five_epochs_by_autograd_and_survives_a_checkpoint():
    generator = torch.Generator().manual_seed(0)
    model, labels = Classifier(nn.Identity(), D, K), torch.arange(N) % K
    window, kept = GradientWindow(N, D), []
    for epoch in range(8):
        features = torch.randn(N, D, generator=generator).half().float()  # what float16 holds
        nn.init.normal_(model.head.weight, generator=generator)
        kept.append(gradients(model, features, labels))
        with torch.no_grad():
            window.add(Evaluation(features, model(features), torch.arange(N)), labels)
        if epoch == 0:
            assert window.variance() is None
            continue
        expected = np.array(kept[-5:]).std(axis=0).mean(axis=1)
        np.testing.assert_allclose(window.variance(), expected, rtol=1e-4)
        resumed = GradientWindow(N, D)
        resumed.load_state_dict(window.state_dict())
        window = resumed


def test_what_does_not_move_has_no_variance():
    labels = torch.arange(N) % K
    window = GradientWindow(N, D)
    same = Evaluation(torch.randn(N, D) * 1e6, torch.randn(N, K), torch.arange(N))  # more than float16 can hold
    for _ in range(7):
        window.add(same, labels)
    assert window.variance().max() < 1e-2
    assert torch.isfinite(window.variance()).all()
