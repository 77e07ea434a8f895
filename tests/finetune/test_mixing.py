import numpy as np
import pytest
import torch

from ssl_robust.finetune.mixing import mix


@pytest.mark.parametrize("alpha", [0.2, 4.0])
def test_images_and_targets_are_mixed_alike_and_each_stays_nearest_to_itself(alpha):
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(200):
        images, targets = mix(torch.eye(6).view(6, 1, 6), torch.eye(6), alpha, generator)
        np.testing.assert_array_equal(images[:, 0], targets)
        np.testing.assert_allclose(targets.sum(dim=1), 1, rtol=1e-6)
        np.testing.assert_allclose(targets.sum(dim=0), 1, rtol=1e-6)  # everyone is a partner once
        assert (targets.diagonal() >= 0.5 - 1e-6).all()
        shares.append(float(targets.max(dim=1).values.min()))
    # E max(b, 1 - b) of b ~ Beta(alpha, alpha), drawn by NumPy
    drawn = np.random.default_rng(0).beta(alpha, alpha, 100_000)
    assert np.mean(shares) == pytest.approx(np.maximum(drawn, 1 - drawn).mean(), abs=0.05)


def test_without_alpha_nothing_is_mixed_and_a_seed_fixes_the_rest():
    images, targets = torch.randn(5, 2), torch.eye(5)
    mixed = mix(images, targets, 0.0)
    assert torch.equal(mixed[0], images)
    assert torch.equal(mixed[1], targets)
    first, second = (mix(images, targets, 0.5, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first[0], second[0])


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


def test_a_generator_of_one_s_own_leaves_torch_s_alone():
    images, targets = batch(6, 3)
    state = torch.get_rng_state()
    ours, theirs = (mix(images, targets, 1.0, torch.Generator().manual_seed(4))[0] for _ in range(2))
    assert torch.equal(ours, theirs)
    assert torch.equal(torch.get_rng_state(), state)
