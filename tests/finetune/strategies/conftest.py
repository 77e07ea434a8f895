from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.records import Batch, Believed, TrainInfo
from ssl_robust.settings import defaults

N, D, K = 24, 6, 4


@pytest.fixture
def info():
    """24 samples of four unequal classes, and a believed noise of which nothing is special."""
    rng = np.random.default_rng(1)
    labels = torch.from_numpy(np.repeat(np.arange(K), [12, 6, 4, 2]))
    posterior = rng.dirichlet(np.ones(K), size=N).astype(np.float32)
    transition = 0.6 * np.eye(K) + 0.4 * rng.dirichlet(np.ones(K), size=K)
    believed = Believed(posterior, transition, 0.3)
    return TrainInfo(labels, torch.arange(N), K, D, believe=lambda: believed)


@pytest.fixture
def measure(info):
    """Name of a strategy and values of its YAML to change -> one step on a batch of all samples in another order."""

    def step(name, sure=1.0, **values):
        strategy = build_strategy(defaults("strategy", name) | values)
        torch.manual_seed(0)
        (model,) = strategy.build(lambda: Classifier(nn.Identity(), D, K))
        model.head.weight.data *= sure
        strategy.start(info)
        strategy.train()
        indices = torch.randperm(N)
        labels = info.labels[indices]
        batch = Batch(3 * torch.randn(1, N, D), labels, indices)
        (loss,) = strategy.losses([model], [{"train": batch}], 0)
        loss.backward()
        with torch.no_grad():
            logits = model(batch.images[0]).double().numpy()
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return SimpleNamespace(
            strategy=strategy,
            model=model,
            batch=batch,
            loss=loss.detach(),
            gradients=[parameter.grad for parameter in model.parameters()],
            p=p / p.sum(axis=1, keepdims=True),
            labels=labels.numpy(),
            indices=indices.numpy(),
            own=(p / p.sum(axis=1, keepdims=True))[np.arange(N), labels.numpy()],
        )

    return step


@pytest.fixture
def equal():
    """Two steps have the same loss and the same gradients."""

    def check(ours, theirs, **tolerance):
        torch.testing.assert_close(ours.loss, theirs.loss, **tolerance)
        for one, other in zip(ours.gradients, theirs.gradients, strict=True):
            assert other.abs().max() > 1e-3
            torch.testing.assert_close(one, other, **tolerance)

    return check
