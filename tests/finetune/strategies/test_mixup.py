import pytest
import torch


def test_it_is_the_cross_entropy_of_mixed_samples_and_labels(measure):
    step = measure("mixup", alpha=2.0)
    seen = []

    def model(images):
        seen.append(images)
        return step.model(images)

    torch.manual_seed(5)
    (loss,) = step.strategy.losses([model], [{"train": step.batch}], 0)
    images, labels = step.batch.images[0], torch.eye(4)[step.batch.labels]
    # Which weight and partners were drawn follows from what the model was shown: samples are in general position.
    partners = torch.tensor([_partner(images, mixed, i) for i, mixed in enumerate(seen[0])])
    weight = ((seen[0] - images[partners]) / (images - images[partners])).nanmedian()
    assert sorted(partners.tolist()) == list(range(24))
    targets = weight * labels + (1 - weight) * labels[partners]
    expected = -(targets * step.model(seen[0]).log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    assert 0.01 < weight < 0.99


def test_without_alpha_it_is_cross_entropy(measure, assert_same_step):
    assert_same_step(measure("mixup", alpha=0.0), measure("cross_entropy"))


def test_it_follows_torch_s_generator(measure):
    step = measure("mixup")
    losses = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        losses.append(step.strategy.losses([step.model], [{"train": step.batch}], 0)[0].item())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("alpha", [-1.0, float("inf"), float("nan"), True])
def test_impossible_alpha_is_refused(measure, alpha):
    with pytest.raises(ValueError, match=f"alpha={alpha}"):
        measure("mixup", alpha=alpha)


def _partner(images, mixed, i):
    """The sample on whose line with sample i the mixed one lies; itself where it is not mixed."""
    if torch.allclose(mixed, images[i], atol=1e-5):
        return i
    direction = torch.nn.functional.normalize(images - images[i], dim=1)
    return int((direction @ torch.nn.functional.normalize(mixed - images[i], dim=0)).argmax())
