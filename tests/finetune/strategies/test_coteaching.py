import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategies.coteaching import CoTeaching
from ssl_robust.finetune.strategies.coteaching_vog import CoTeachingVOG
from ssl_robust.records import Batch, Believed, TrainInfo

B, D, K = 20, 5, 3


def cooked(rate, *, n_epochs=8, make=CoTeaching, **options):
    """A started strategy, its networks and a batch of all samples."""
    strategy = make(assumed_noise_rate=rate, warmup_epochs=4, **options)
    torch.manual_seed(0)
    models = strategy.build(lambda: Classifier(nn.Linear(D, D), D, K))
    labels = torch.arange(B) % K
    believed = Believed(np.eye(K)[labels], np.eye(K), 0.25)
    strategy.start(TrainInfo(labels, torch.arange(B), K, D, believe=lambda: believed, n_epochs=n_epochs))
    return strategy, models, Batch(torch.randn(1, B, D), labels, torch.arange(B))


def gradients(loss, model):
    return torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)


@pytest.mark.parametrize("epoch", [0, 2, 7])
def test_each_network_learns_from_the_picks_of_the_other(epoch):
    strategy, models, batch = cooked(0.4)
    losses = strategy.losses(models, [{"train": batch}] * 2, epoch)
    kept = {0: 20, 2: 16, 7: 12}[epoch]
    for own, other in ((0, 1), (1, 0)):
        theirs = F.cross_entropy(models[other](batch.images[0]), batch.labels, reduction="none").detach().numpy()
        picks = np.argsort(theirs)[:kept]
        expected = F.cross_entropy(models[own](batch.images[0][picks]), batch.labels[picks])
        torch.testing.assert_close(losses[own], expected)
        for got, wanted in zip(gradients(losses[own], models[own]), gradients(expected, models[own]), strict=True):
            torch.testing.assert_close(got, wanted)
        reached = torch.autograd.grad(
            losses[own], list(models[other].parameters()), allow_unused=True, retain_graph=True
        )
        assert all(each is None for each in reached)


@pytest.mark.parametrize(("make", "options"), [(CoTeaching, {}), (CoTeachingVOG, {"variance_share": 0.2})])
def test_a_forget_rate_of_zero_is_plain_cross_entropy_of_both(make, options):
    strategy, models, batch = cooked(0.0, make=make, **options)
    if make is CoTeachingVOG:
        strategy.variances = [torch.rand(B)] * 2
    for epoch in (0, 7):
        losses = strategy.losses(models, [{"train": batch}] * 2, epoch)
        for loss, model in zip(losses, models, strict=True):
            expected = F.cross_entropy(model(batch.images[0]), batch.labels)
            torch.testing.assert_close(loss, expected)
            for got, wanted in zip(gradients(loss, model), gradients(expected, model), strict=True):
                torch.testing.assert_close(got, wanted)


def test_the_rate_is_estimated_unless_it_is_given_and_the_warmup_fits_the_run():
    assert cooked(None)[0].rate == 0.25
    assert cooked(0.1)[0].rate == 0.1
    assert [cooked(None, n_epochs=n)[0].warmup for n in (0, 1, 3, 8, 100)] == [4, 0, 1, 4, 4]


@pytest.mark.parametrize("rate", [1.0, -0.1, True, "${noise.rate}"])
def test_a_rate_that_cannot_be_is_one_sentence(rate):
    with pytest.raises(ValueError, match=r"assumed_noise_rate=.*expected a share"):
        cooked(rate)


def test_a_warmup_that_cannot_be_is_one_sentence(problem):
    with pytest.raises(ValueError, match="warmup_epochs=-1; expected a whole number"):
        problem().loop("coteaching", warmup_epochs=-1)
