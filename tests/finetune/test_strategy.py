import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategies.cross_entropy import CrossEntropy
from ssl_robust.finetune.strategy import Evaluation, build_strategy
from ssl_robust.records import Batch, Believed, TrainInfo
from ssl_robust.settings import choices, defaults

N, D, K = 24, 6, 3


def started(strategy):
    torch.manual_seed(0)
    models = strategy.build(lambda: Classifier(nn.Identity(), D, K))
    labels = torch.arange(N) % K
    even = np.full((N, K), 1 / K, dtype=np.float32)
    believed = Believed(0.4 * even + 0.6 * np.eye(K, dtype=np.float32)[labels], 0.4 / K + 0.6 * np.eye(K), 0.4 * 2 / K)
    strategy.start(TrainInfo(labels, torch.arange(N), K, D, believe=lambda: believed))
    return models, labels, torch.randn(N, D)


def settings_of(name):
    """The node as a run has it; an oracle's own file holds nothing but the rate that it is told."""
    told = {"assumed_noise_rate": 0.4} if name.endswith("_oracle") else {}
    return defaults("strategy", name.removesuffix("_oracle")) | told


@pytest.mark.parametrize("name", choices("strategy"))
def test_contract(name):
    """Build, plan, step, predict and save, for every strategy that has a YAML."""
    strategy = build_strategy(settings_of(name))
    models, labels, vectors = started(strategy)
    assert len(models) == strategy.n_models

    def evaluate(number):
        return Evaluation(vectors, models[number].head(vectors).detach(), torch.arange(N))

    for epoch in range(2):
        plan = strategy.plan_epoch(epoch, evaluate)
        assert len(plan) == len(models)
        batches = [
            {
                key: Batch(vectors[stream.indices].expand(stream.n_views, -1, -1), labels[stream.indices],
                           torch.as_tensor(stream.indices))
                for key, stream in named.items()
                if len(stream.indices)
            }
            for named in plan
        ]  # fmt: skip
        losses = strategy.losses(models, batches, epoch)
        assert len(losses) == len(models)
        for number, loss in enumerate(losses):
            assert loss.shape == ()
            assert torch.isfinite(loss)
            parameters = [each for other in models for each in other.parameters()]
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
            own = len(list(models[0].parameters()))
            reached = {i // own for i, gradient in enumerate(gradients) if gradient is not None}
            assert reached <= {number}, "a loss must not reach another model's parameters"
    for model in models:
        model.eval()
    p = strategy.eval().predict(models, vectors)
    torch.testing.assert_close(p.sum(dim=1), torch.ones(N))
    again = build_strategy(settings_of(name))
    started(again)
    again.load_state_dict(copy.deepcopy(strategy.state_dict()))


def test_cross_entropy_equals_the_formula_written_out():
    strategy = CrossEntropy(label_smoothing=0.2)
    models, labels, vectors = started(strategy)
    batch = Batch(vectors[None], labels, torch.arange(N))
    (loss,) = strategy.losses(models, [{"train": batch}], 0)
    logs = models[0](vectors).log_softmax(dim=1)
    target = 0.8 * F.one_hot(labels, K) + 0.2 / K
    torch.testing.assert_close(loss, -(target * logs).sum(dim=1).mean())


def test_default_plan_shows_every_sample_once():
    strategy = CrossEntropy(label_smoothing=0.0)
    started(strategy)
    (streams,) = strategy.plan_epoch(0, evaluate=lambda number: pytest.fail("not needed"))
    np.testing.assert_array_equal(streams["train"].indices, np.arange(N))


@pytest.mark.parametrize("share", [-0.1, 3, True])
def test_a_smoothing_that_cannot_be_is_refused(share):
    with pytest.raises(ValueError, match="label_smoothing=.*expected a share from 0 to 1"):
        build_strategy(defaults("strategy", "label_smoothing") | {"label_smoothing": share})
