import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategies.audit_clean import MODES, AuditClean, trusted
from ssl_robust.finetune.strategy import build_strategy
from ssl_robust.records import Batch, Believed, TrainInfo
from ssl_robust.run import UserError, write_json
from ssl_robust.settings import defaults

N, D, K = 30, 5, 3


def started(posterior, labels, **options):
    """The strategy of its YAML with other options, a model and one batch of what an epoch shows."""
    strategy = build_strategy({**defaults("strategy", "audit_clean"), **options})
    torch.manual_seed(0)
    models = strategy.build(lambda: Classifier(nn.Identity(), D, K))
    believed = Believed(np.asarray(posterior, dtype=np.float32), np.eye(K), 0.0)
    strategy.start(TrainInfo(torch.as_tensor(labels), torch.arange(len(labels)), K, D, believe=lambda: believed))
    (named,) = strategy.plan_epoch(0, evaluate=lambda number: pytest.fail("not needed"))
    rows = torch.as_tensor(named["train"].indices)
    images = torch.randn(len(labels), D)
    batch = Batch(images[rows][None], torch.as_tensor(labels)[rows], rows)
    return strategy, models, {"train": batch}, images


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(K), size=N), rng.integers(K, size=N)


def cross_entropies(model, images):
    """(N, K) - log softmax, in NumPy."""
    logits = model(images).detach().numpy().astype(np.float64)
    return np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits


def test_losses_equal_the_formulas_written_out():
    posterior, labels = drawn()
    q = trusted(posterior, labels, n=2).astype(np.float64)
    p = 1 - q[np.arange(N), labels]
    for mode in MODES:
        strategy, models, batch, images = started(posterior, labels, mode=mode, keep_per_class=2, threshold=0.6)
        minus_log = cross_entropies(models[0], images)
        own = minus_log[np.arange(N), labels]
        expected = {
            "drop": own[p <= 0.6].mean(),
            "weight": ((1 - p) * own).sum() / (1 - p).sum(),
            "soften": (q * minus_log).sum(axis=1).mean(),
        }[mode]
        (loss,) = strategy.losses(models, [batch], 0)
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_labels_that_nobody_doubts_give_cross_entropy_and_its_gradient(mode):
    _, labels = drawn()
    strategy, models, batch, images = started(np.eye(K)[labels], labels, mode=mode)
    (loss,) = strategy.losses(models, [batch], 0)
    plain = F.cross_entropy(models[0](images), torch.as_tensor(labels))
    torch.testing.assert_close(loss, plain)
    parameters = list(models[0].parameters())
    for one, other in zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(one, other)


def test_drop_shows_no_suspect_and_a_class_of_three_survives():
    labels = np.array([0] * 20 + [1] * 20 + [2] * 3)
    posterior = np.eye(K)[labels] * 0.9 + np.array([0.1, 0, 0])
    posterior[:8] = [0.2, 0.8, 0]
    posterior[-3:] = [0.95, 0.0, 0.05]  # every label of the rare class is suspected
    strategy, *_ = started(posterior, labels, mode="drop", keep_per_class=5)
    shown = strategy.plan_epoch(0, evaluate=lambda number: None)[0]["train"].indices
    np.testing.assert_array_equal(shown, np.arange(8, 43))
    for mode in ("weight", "soften"):
        strategy, *_ = started(posterior, labels, mode=mode, keep_per_class=5)
        assert strategy.weights[-3:].min() >= strategy.weights[8:20].max()
        assert strategy.targets[-3:, 2].tolist() == [1, 1, 1]


def test_how_many_labels_are_doubted_is_told_as_believed_and_printed_by_nobody_here(capsys):
    labels = np.array([0, 0, 0, 1, 1, 1])
    strategy, *_ = started(np.tile([0.75, 0.25, 0.0], (6, 1)), labels, mode="drop", keep_per_class=1)
    assert strategy.said == "6 training labels, of which 50.0% are believed wrong; 2 are left out"
    assert capsys.readouterr().out == ""  # a study starts hundreds of strategies in one process


def test_the_labels_believed_most_are_trusted_of_ties_the_first():
    labels = np.array([0, 0, 0, 1])
    posterior = np.array([[0.3, 0.7], [0.6, 0.4], [0.6, 0.4], [0.9, 0.1]])
    np.testing.assert_allclose(trusted(posterior, labels, n=1), [[0.3, 0.7], [1, 0], [0.6, 0.4], [0, 1]])


def test_what_was_believed_at_first_comes_back_with_a_checkpoint():
    posterior, labels = drawn()
    strategy, *_ = started(posterior, labels)
    other, *_ = started(*drawn(1))
    other.load_state_dict(strategy.state_dict())
    torch.testing.assert_close(other.targets, strategy.targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "prune"}, "mode=prune; expected drop, weight or soften"),
        ({"threshold": 50}, "threshold=50; expected a probability"),
        ({"keep_per_class": 0}, "keep_per_class=0; expected a whole number from 1"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        build_strategy({**defaults("strategy", "audit_clean"), **options})


def test_an_audit_is_looked_for_before_anything_is_computed(tmp_path):
    values = {name: value for name, value in defaults("strategy", "audit_clean").items() if name != "_target_"}
    with pytest.raises(UserError, match="holds no run"):
        AuditClean(**{**values, "audit": str(tmp_path)})
    write_json(tmp_path / "run.json", {"stage": "finetune", "schema_version": 1, "config": {}})
    with pytest.raises(UserError, match="expected audit"):
        AuditClean(**{**values, "audit": str(tmp_path)})
