import pytest
import torch

from ssl_robust.finetune.mixing import mix


def batch(n, *shape):
    torch.manual_seed(0)
    return torch.rand(n, *shape), torch.eye(n)


@pytest.mark.parametrize("shape", [(7,), (3, 4, 4)])
def test_targets_tell_how_each_sample_was_mixed(shape):
    images, targets = batch(9, *shape)
    mixed, soft = mix(images, targets, 1.0)
    assert mixed.shape == images.shape
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(9))
    assert len(soft.diagonal()[soft.diagonal() < 1].unique()) == 1  # one weight for the batch
    torch.testing.assert_close(mixed, torch.tensordot(soft, images, dims=1))


def test_without_alpha_nothing_is_mixed():
    images, targets = batch(5, 2)
    assert mix(images, targets, 0.0) == (images, targets)


def test_weights_follow_the_beta_distribution():
    images, targets = batch(64, 1)
    for alpha in (0.2, 8.0):
        generator = torch.Generator().manual_seed(0)
        drawn = []
        for _ in range(400):
            own = mix(images, targets, alpha, generator)[1].diagonal()
            drawn.append(float(own.min()))  # a sample that is its own partner has weight one
        weights = torch.tensor(drawn)
        assert float(weights.mean()) == pytest.approx(0.5, abs=0.05)
        assert float(weights.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.2)


def test_a_generator_of_one_s_own_leaves_torch_s_alone():
    images, targets = batch(6, 3)
    state = torch.get_rng_state()
    ours, theirs = (mix(images, targets, 1.0, torch.Generator().manual_seed(4))[0] for _ in range(2))
    assert torch.equal(ours, theirs)
    assert torch.equal(torch.get_rng_state(), state)
