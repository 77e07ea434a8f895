import numpy as np
import pytest
import torch

from ssl_robust.records import Batch


def test_it_is_the_formula_written_out_and_its_targets_lag_behind(measure):
    step = measure("elr", weight=2.0, momentum=0.6)
    p, order = step.p, np.argsort(step.indices)
    first = 0.4 * p
    inner = (p * first).sum(axis=1)
    assert float(step.loss) == pytest.approx(np.mean(-np.log(step.own) + 2 * np.log(1 - inner)), rel=1e-5)
    np.testing.assert_allclose(step.strategy.targets, first[order], rtol=1e-5)
    (loss,) = step.strategy.losses([step.model], [{"train": step.batch}], 1)
    second = 0.6 * first + 0.4 * p
    inner = (p * second).sum(axis=1)
    assert loss.item() == pytest.approx(np.mean(-np.log(step.own) + 2 * np.log(1 - inner)), rel=1e-5)
    np.testing.assert_allclose(step.strategy.targets, second[order], rtol=1e-5)


def test_without_weight_it_is_cross_entropy(measure, assert_same_step):
    assert_same_step(measure("elr", weight=0.0), measure("cross_entropy"))


def test_it_draws_the_prediction_to_the_target_and_not_to_the_label(measure):
    """Liu et al., lemma 2: where early predictions contradict a label, the regulariser pulls against it."""
    step = measure("elr", weight=20.0, momentum=0.9)
    start = torch.tensor([[2.0, 0.0, 0.0, 0.0]]).repeat(24, 1)
    labels = torch.full((24,), 1)
    step.strategy.targets[:] = torch.tensor([0.9, 0.05, 0.05, 0.0])
    logits = start.clone().requires_grad_()
    batch = Batch(logits[None], labels, torch.arange(24))
    (loss,) = step.strategy.losses([lambda images: images], [{"train": batch}], 5)
    loss.backward()
    assert (logits.grad[:, 0] < 0).all()  # a step against the gradient raises the believed class
    assert (logits.grad[:, 1] > 0).all()


def test_certainty_leaves_it_finite(measure):
    step = measure("elr", sure=1e3, momentum=0.0)
    assert torch.isfinite(step.loss)
    assert all(torch.isfinite(each).all() for each in step.gradients)


def test_samples_that_are_not_shown_keep_their_targets(measure):
    step = measure("elr")
    before = step.strategy.targets.clone()
    part = Batch(step.batch.images[:, :5], step.batch.labels[:5], step.batch.indices[:5])
    step.strategy.losses([step.model], [{"train": part}], 1)
    changed = (step.strategy.targets != before).any(dim=1)
    assert sorted(changed.nonzero().flatten().tolist()) == sorted(part.indices.tolist())
    assert "targets" in step.strategy.state_dict()


@pytest.mark.parametrize(("values", "message"), [({"weight": -1.0}, "weight=-1"), ({"momentum": 1.0}, "momentum=1")])
def test_impossible_values_are_refused(measure, values, message):
    with pytest.raises(ValueError, match=message):
        measure("elr", **values)
