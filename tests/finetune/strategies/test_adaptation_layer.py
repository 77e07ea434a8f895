import numpy as np
import pytest
import torch
from torch.nn import functional as F

T = [[0.7, 0.1, 0.1, 0.1], [0.05, 0.9, 0.02, 0.03], [0.2, 0.1, 0.6, 0.1], [0.1, 0.3, 0.3, 0.3]]


def test_it_starts_as_forward_correction(measure, assert_same_step):
    assert_same_step(measure("adaptation_layer", transition=T), measure("forward", transition=T))


def test_it_starts_from_the_estimate(measure, assert_same_step):
    assert_same_step(measure("adaptation_layer", least=1e-9), measure("forward"))


def test_frozen_at_the_identity_it_is_cross_entropy(measure):
    step = measure("adaptation_layer")
    step.strategy.layer.requires_grad_(False).copy_(200 * torch.eye(4).flatten())
    (loss,) = step.strategy.losses([step.model], [{"train": step.batch}], 0)
    plain = F.cross_entropy(step.model(step.batch.images[0]), step.batch.labels)
    torch.testing.assert_close(loss, plain)
    ours, theirs = (torch.autograd.grad(each, list(step.model.parameters())) for each in (loss, plain))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_the_layer_is_learnt_and_not_decayed(measure):
    step = measure("adaptation_layer")
    (layer,) = step.strategy.parameters()
    assert layer.grad.abs().max() > 1e-3
    assert layer.ndim == 1  # what has more dimensions is decayed by the optimiser
    assert "layer" in step.strategy.state_dict()


def test_a_confusion_that_was_thought_impossible_can_be_learnt(measure):
    step = measure("adaptation_layer", transition=np.eye(4).tolist())
    assert (step.strategy.layer.grad.abs() > 0).all()


def test_prediction_is_of_the_true_classes(measure):
    step = measure("adaptation_layer")
    np.testing.assert_allclose(
        step.strategy.predict([step.model], step.batch.images[0]).detach(), step.p, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_impossible_least_is_refused(measure, least):
    with pytest.raises(ValueError, match=f"least={least}"):
        measure("adaptation_layer", least=least)
