import numpy as np
import pytest
import torch

from ssl_robust.finetune.strategies.audit_clean import AuditClean
from ssl_robust.finetune.strategies.balanced import Balanced
from ssl_robust.records import Batch, Believed, TrainInfo

N, K = 12, 3
COMMON = {"audit": None, "mode": "soften", "threshold": 0.5, "keep_per_class": 1}


def told(seed=0):
    rng = np.random.default_rng(seed)
    posterior = rng.dirichlet((6, 1, 2), N).astype(np.float32)
    labels = torch.arange(N) % K
    believed = Believed(posterior, np.eye(K), 0.3)
    return TrainInfo(labels=labels, groups=torch.arange(N), n_classes=K, feature_dim=4, believe=lambda: believed)


def loss_of(strategy):
    """Loss and gradient of a linear model on all samples."""
    strategy.start(told())
    torch.manual_seed(0)
    model = torch.nn.Linear(4, K)
    images = torch.randn(1, N, 4)
    (loss,) = strategy.losses([model], [{"train": Batch(images, told().labels, torch.arange(N))}], 0)
    loss.backward()
    return loss.detach().numpy(), model.weight.grad.numpy(), model(images[0]).detach().numpy()


def test_it_is_the_formula_written_out():
    strategy = Balanced(**COMMON, strength=2.0)
    loss, _, logits = loss_of(strategy)
    targets = strategy.targets.numpy().astype(np.float64)
    prior = (targets.sum(axis=0) + 1) / (N + K)
    raised = np.exp(logits) * prior**2
    expected = -np.mean([(targets[i] * np.log(raised[i] / raised[i].sum())).sum() for i in range(N)])
    assert loss == pytest.approx(expected, rel=1e-5)


def test_without_strength_it_is_audit_clean():
    for ours, theirs in zip(loss_of(Balanced(**COMMON, strength=0)), loss_of(AuditClean(**COMMON)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("strength", [-1, True, "1", 11])
def test_a_strength_that_cannot_be_is_refused(strength):
    with pytest.raises(ValueError, match=r"strength=.*expected a number from 0 to 10"):
        Balanced(**COMMON, strength=strength)
