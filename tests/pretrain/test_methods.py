"""Every method, found by its YAML: it builds, learns, is saved, resumes and refuses what does not fit."""

import io
import math

import pytest
import torch
from fitting import build_fitting

from ssl_robust import settings
from ssl_robust.pretrain.method import encode_together, fitting_views
from ssl_robust.pretrain.optimizers import build_optimizer, set_rates
from ssl_robust.records import Crop, Progress

METHODS = settings.choices("method")
SMALL_CROPS = " with small crops"  # what SwAV and DINO also take: views of two sizes
VARIANTS = [*METHODS, "swav" + SMALL_CROPS, "dino" + SMALL_CROPS]
N, SIDE = 8, 32


def make(name, seed=0, **other):
    values = settings.defaults("method", name.removesuffix(SMALL_CROPS)) | other
    if name.endswith(SMALL_CROPS):
        values["crops"] = [{"n": 2, "size": 1.0}, {"n": 3, "size": 0.75, "scale": [0.1, 0.3]}]
    method = build_fitting(values, "regnetx_002", side=SIDE, seed=seed)
    optim = {**settings.defaults("optim", "adamw"), "lr": 0.01}
    return method, build_optimizer(method, optim, scans_per_step=N)


def make_views(method, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sides = [max(24, int(crop.size * SIDE)) for crop in method.crops for _ in range(crop.n)]
    return [torch.rand(N, 3, side, side, generator=generator) for side in sides]


def train(method, optimizer, steps, start=0, draws=None):
    """Losses of some steps on fixed views; `draws` seeds what a loss draws, else the step does."""
    method.train()
    losses = []
    for step in range(start, start + steps):
        progress = Progress(step, 20, step // 5, 4)
        torch.manual_seed(step if draws is None else draws)
        loss = method.loss(make_views(method), progress)["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_rates(optimizer, method, progress, warmup=0.1)
        method.after_backward(progress)
        optimizer.step()
        method.after_step(Progress(step + 1, 20, (step + 1) // 5, 4))
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", METHODS)
def test_views_follow_from_the_crops(name):
    method, _ = make(name)
    crops = [Crop.read(crop) for crop in settings.defaults("method", name)["crops"]]
    assert method.n_views == sum(crop.n for crop in crops)
    assert crops[0].size == max(crop.size for crop in crops), "the largest views come first"


@pytest.mark.parametrize("name", VARIANTS)
def test_it_learns_and_its_gradients_reach_the_encoder(name):
    method, optimizer = make(name)
    before = {key: value.clone() for key, value in method.encoder.named_parameters()}
    losses = train(method, optimizer, 2)
    assert all(math.isfinite(loss) for loss in losses)
    first = next(iter(before))
    assert not torch.equal(before[first], dict(method.encoder.named_parameters())[first])
    assert all(value.grad is not None for value in method.encoder.parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_resumed_method_takes_the_same_steps(name):
    method, optimizer = make(name)
    train(method, optimizer, 2)
    buffer = io.BytesIO()
    torch.save({"method": method.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    expected = train(method, optimizer, 2, start=2)

    other, other_optimizer = make(name, seed=7)
    state = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    other.load_state_dict(state["method"])
    other_optimizer.load_state_dict(state["optimizer"])
    assert train(other, other_optimizer, 2, start=2) == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_seed_gives_the_same_loss(name):
    assert train(*make(name), 1) == train(*make(name), 1)


@pytest.mark.parametrize("name", ["moco", "mocov3", "densecl", "byol", "dino"])
def test_teachers_follow_without_gradients(name):
    method, optimizer = make(name)
    teacher = method.key_encoder if hasattr(method, "key_encoder") else method.teacher
    before = next(teacher.parameters()).clone()
    train(method, optimizer, 2)
    student, after = next(method.encoder.parameters()), next(teacher.parameters())
    assert not after.requires_grad
    assert after.grad is None
    assert 0 < (after - before).norm() < (student - before).norm()


def test_the_queue_is_part_of_the_state_and_takes_the_keys():
    method, optimizer = make("moco")
    before = method.state_dict()["criterion.memory_bank.bank"].clone()
    train(method, optimizer, 1)
    after = method.state_dict()["criterion.memory_bank.bank"]
    assert not torch.equal(before[: 2 * N], after[: 2 * N])
    assert torch.equal(before[2 * N :], after[2 * N :])
    assert method.state_dict()["criterion.memory_bank.bank_ptr"] == 2 * N


def test_simsiam_holds_the_rate_of_its_predictor():
    method, optimizer = make("simsiam")
    set_rates(optimizer, method, Progress(20, 20, 4, 4), warmup=0.1)
    predictor = {id(parameter) for parameter in method.predictor.parameters()}
    for group in optimizer.param_groups:
        held = all(id(parameter) in predictor for parameter in group["params"])
        assert group["lr"] == (group["base_lr"] if held else 0.0)


def test_dino_raises_the_weight_decay_and_frees_its_last_layer():
    method, optimizer = make("dino")
    last_layer = method.head.last_layer.weight_v
    for step, frozen in ((0, True), (19, False)):
        progress = Progress(step, 20, 0, 4)
        rate = set_rates(optimizer, method, progress, warmup=0.1)
        method.loss(make_views(method), progress)["loss"].backward()
        method.after_backward(progress)
        assert (last_layer.grad is None) == frozen
        assert rate > 0
        decays = sorted({group["weight_decay"] for group in optimizer.param_groups})
        assert decays == pytest.approx([0.0, method.weight_decay[0] if step == 0 else method.weight_decay[1]])


def test_swav_keeps_its_prototypes_on_the_sphere():
    method, optimizer = make("swav")
    train(method, optimizer, 2)
    assert torch.allclose(method.prototypes.weight.norm(dim=1), torch.ones(method.prototypes.out_features))


def test_views_of_one_size_pass_the_encoder_together():
    sizes = []

    def encoder(images):
        sizes.append(len(images))
        return images.mean(dim=(2, 3))

    views = [torch.rand(4, 3, side, side) for side in (32, 32, 24, 24, 24)]
    features = encode_together(encoder, views)
    assert sizes == [8, 12]
    assert all(torch.allclose(f, v.mean(dim=(2, 3))) for f, v in zip(features, views, strict=True))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_loss_falls_on_one_batch(name):
    # A queue of random keys, as in the first step, is easily told from the batch: with real ones the loss rises first.
    queue = {"queue_size": 2 * N} if "queue_size" in settings.defaults("method", name.removesuffix(SMALL_CROPS)) else {}
    losses = train(*make(name, **queue), 12, draws=0)[1 if queue else 0 :]
    assert min(losses[-3:]) < losses[0]
    if name == "simclr":
        assert losses[-1] < 0.5 * losses[0]


def test_a_method_switches_off_views_that_destroy_its_target():
    recipe = {"rotation": 180, "flip": {"horizontal": 0.5, "vertical": 0.5}}
    assert fitting_views({"views": {"rotation": 0, "flip": {"vertical": 0.0}}}, recipe) == {
        "rotation": 0,
        "flip": {"horizontal": 0.5, "vertical": 0.0},
    }
    assert fitting_views({}, recipe) == recipe
