import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.gradients import Gradients

N, D, K = 9, 4, 3
GIVEN = np.arange(N) % K


def models(n=1):
    torch.manual_seed(0)
    return [Classifier(nn.Identity(), D, K) for _ in range(n)]


def epoch(gradients, model, features, number):
    """Predict all samples in two batches; the gradient of each by autograd."""
    with torch.no_grad():
        model.head.weight += 0.1 * (number + 1)
        model.head.bias[0] += 0.3 * number
    with gradients.watching([model], number), torch.no_grad():
        for part in features.split(5):
            model(part)
    rows = []
    for each, label in zip(features, GIVEN, strict=True):
        model.zero_grad()
        F.cross_entropy(model(each[None]), torch.tensor([label])).backward()
        rows.append([*model.head.weight.grad[label].tolist(), model.head.bias.grad[label].item()])
    return rows


def test_variance_is_the_papers_over_the_last_five_epochs():
    (model,), gradients = models(), Gradients(GIVEN, n_epochs=7)
    rng = np.random.default_rng(0)
    kept = []
    for number in range(7):
        features = torch.from_numpy(rng.normal(size=(N, D)).astype(np.float32))
        kept.append(epoch(gradients, model, features, number))
    expected = np.array(kept[2:]).std(axis=0).mean(axis=1)
    np.testing.assert_allclose(gradients.variance(), expected, rtol=1e-4)
    assert not model.head._forward_hooks


def test_a_checkpoint_in_the_midst_changes_nothing(tmp_path):
    features = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    (whole,), (parts,) = models(), models()
    first, second = Gradients(GIVEN, n_epochs=4), Gradients(GIVEN, n_epochs=4)
    for number in range(4):
        epoch(first, whole, features, number)
        epoch(second, parts, features, number)
        torch.save(second.state_dict(), tmp_path / "last.ckpt")
        second = Gradients(GIVEN, n_epochs=4)
        second.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True))
    np.testing.assert_array_equal(first.variance(), second.variance())


def test_models_are_averaged_and_one_that_is_not_asked_is_left_out():
    features = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    found = []
    for asked in ([0], [1], [0, 1]):
        three, gradients = models(3), Gradients(GIVEN, n_epochs=2)
        for number in range(2):
            with gradients.watching(three, number), torch.no_grad():
                for model in asked:
                    three[model].head.weight *= 1.5
                    three[model](features)
        found.append(gradients.variance())
    np.testing.assert_allclose(found[2], (found[0] + found[1]) / 2, rtol=1e-6)
    assert not np.allclose(found[0], found[1])


def test_nothing_is_recorded_when_switched_off_or_of_a_single_epoch():
    features = torch.zeros(N, D)
    for n_epochs in (0, 1):
        (model,), gradients = models(), Gradients(GIVEN, n_epochs=n_epochs)
        with gradients.watching([model], 0):
            model(features)
        assert gradients.variance() is None
        assert len(gradients.state_dict()) == n_epochs


def test_predictions_that_are_not_one_a_sample_are_an_error():
    (model,), gradients = models(), Gradients(GIVEN, n_epochs=1)
    with pytest.raises(RuntimeError, match=r"\[5\] predictions of 9"), gradients.watching([model], 0):
        model(torch.zeros(5, D))
    assert not model.head._forward_hooks
