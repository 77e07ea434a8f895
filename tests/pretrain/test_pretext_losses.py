"""The losses of pretext tasks against the papers' formulas, written out, and the pictures that their encoders see."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ssl_robust import settings
from ssl_robust.data.draws import Draws
from ssl_robust.data.view_appearance import Appearance
from ssl_robust.pretrain.method import build_method, fitting_views
from ssl_robust.pretrain.methods.jigmag import magnify
from ssl_robust.pretrain.methods.jigsaw import cut_tiles
from ssl_robust.pretrain.methods.vae import divergence_from_prior
from ssl_robust.pretrain.ordering import distant_orders, encode_tiles, lay_out
from ssl_robust.records import Progress

B, SIDE, DIM = 6, 24, 8
START = Progress(0, 100, 0, 10)


class TinyEncoder(nn.Module):
    """A few rows and columns of a view -> features, which tell its turns apart; keeps what it was given."""

    dim, in_chans = DIM, 3

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3 * 16, DIM)
        self.register_buffer("mean_buffer", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("std_buffer", torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1))
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach())
        return self.linear(images[:, :, :4, :4].flatten(1))


def make(name, **values):
    torch.manual_seed(0)
    method = build_method({**settings.defaults("method", name), **values}, TinyEncoder())
    return method, [torch.rand(B, 3, SIDE, SIDE)]


def log_softmax(row):
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


def mean_and_hits(scores, answers):
    """Cross-entropy and accuracy, row by row."""
    rows = scores.double().numpy()
    losses = [-log_softmax(row)[answer] for row, answer in zip(rows, answers, strict=True)]
    return np.mean(losses), np.mean([row.argmax() == answer for row, answer in zip(rows, answers, strict=True)])


def test_rotation_tells_the_four_turns_of_each_view_apart():
    method, views = make("rotation", crops=[{"n": 2, "size": 1.0}])
    views = [*views, torch.rand(B, 3, SIDE, SIDE)]
    found = method.loss(views, START)
    losses = []
    for view in views:
        for turns in range(4):
            picture = torch.from_numpy(np.rot90(view.numpy(), turns, axes=(2, 3)).copy())
            with torch.no_grad():
                losses.append(mean_and_hits(method.head(method.encoder(picture)), [turns] * B))
    assert found["loss"].item() == pytest.approx(np.mean([loss for loss, _ in losses]), rel=1e-5)
    assert found["accuracy"].item() == pytest.approx(np.mean([hits for _, hits in losses]), rel=1e-5)


@pytest.mark.parametrize("name", ["jigsaw", "jigmag"])
def test_shuffled_features_are_those_of_shuffled_tiles(name):
    method, views = make(name)
    torch.manual_seed(3)
    places = torch.rand(B, 9, 2) if name == "jigsaw" else None
    drawn = torch.randint(len(method.head.orders), (B,))
    torch.manual_seed(3)
    found = method.loss(views, START)
    if name == "jigsaw":
        tiles = cut_tiles(views[0], places, grid=3, tile=method.tile)
    else:
        tiles = magnify(views[0], method.magnifications)
    shuffled = torch.stack([tiles[scan][method.head.orders[order]] for scan, order in enumerate(drawn)])
    with torch.no_grad():
        features = encode_tiles(method.encoder, shuffled, method.least_side)
        loss, hits = mean_and_hits(method.head.layers(features.flatten(1)), drawn.tolist())
    assert found["loss"].item() == pytest.approx(loss, rel=1e-5)
    assert found["accuracy"].item() == pytest.approx(hits, rel=1e-5)


def test_laid_out_tiles_are_where_the_order_says():
    features = torch.arange(6.0).view(2, 3, 1)
    assert lay_out(features, torch.tensor([[2, 0, 1], [0, 2, 1]])).flatten(1).tolist() == [[2, 0, 1], [3, 5, 4]]


def smallest_distance(orders):
    differ = (orders[:, None] != orders[None]).sum(axis=2)
    return min(differ[~np.eye(len(orders), dtype=bool)])


@pytest.mark.parametrize(
    ("n_tiles", "n_orders", "largest"),
    # Any two of T orders can differ everywhere (a Latin square), of 12 orders of four tiles in three places (the even
    # ones), of all orders in two.
    [(3, 3, 3), (4, 4, 4), (5, 5, 5), (9, 9, 9), (4, 12, 3), (3, 6, 2), (4, 24, 2)],
)
def test_orders_are_as_far_apart_as_can_be(n_tiles, n_orders, largest):
    orders = distant_orders(n_tiles, n_orders)
    assert smallest_distance(orders) == largest
    assert len({tuple(order) for order in orders}) == n_orders
    assert (np.sort(orders, axis=1) == np.arange(n_tiles)).all()


def test_as_many_orders_as_asked_for_and_the_same_ones_first():
    many = distant_orders(9, 64)
    assert len({tuple(order) for order in many}) == 64
    assert smallest_distance(many) >= 7
    assert (many[0] == np.arange(9)).all()


@pytest.mark.parametrize("numbers", [(1, 2), (10, 5), (3, 7), (3, 1)])
def test_orders_that_there_are_not(numbers):
    with pytest.raises(ValueError, match="expected 2 to"):
        distant_orders(*numbers)


def test_tiles_come_from_their_cells_row_by_row():
    numbers = torch.arange(9.0).view(1, 1, 3, 3).repeat_interleave(7, dim=2).repeat_interleave(7, dim=3)
    view = nn.functional.pad(numbers, (0, 1, 0, 1), value=99)  # what a grid of three leaves over of 22 px
    tiles = cut_tiles(view.expand(2, 3, -1, -1), torch.rand(2, 9, 2), grid=3, tile=0.85)
    assert tiles.shape == (2, 9, 3, 6, 6)
    assert (tiles == torch.arange(9.0).view(1, 9, 1, 1, 1)).all()


def test_tiles_lie_anywhere_in_their_cells_and_leave_gaps():
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    view = torch.stack([rows, columns])[None]  # pixels say where they are
    places = torch.zeros(1, 4, 2)
    places[0, 3] = torch.tensor([0.999, 0.4])
    tiles = cut_tiles(view, places, grid=2, tile=0.67)
    assert tiles.shape[-1] == 4
    assert tiles[0, :, 0, 0, 0].tolist() == [0, 0, 6, 8]
    assert tiles[0, :, 1, 0, 0].tolist() == [0, 6, 0, 7]
    assert (tiles[0, 3, 0] == torch.arange(8.0, 12)[:, None]).all()
    assert (tiles[0, 3, 1] == torch.arange(7.0, 11)).all()


def test_magnified_tiles_show_the_middle_and_are_equally_sharp():
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    magnifications = (1.0, 2.0, 4.0)
    tiles = magnify(ramp, magnifications)[0, :, 0]
    assert tiles.shape == (3, 16, 16)
    for tile, magnification in zip(tiles, magnifications, strict=True):
        width = tile[0, -1] - tile[0, 0]  # between the centres of the outer pixels, 15 of 16 of the whole width
        assert width.item() == pytest.approx(2 / magnification * 15 / 16, rel=0.02)
        assert tile.mean().item() == pytest.approx(0, abs=1e-5)
    noise = magnify(torch.randn(8, 1, 64, 64), (1.0, 2.0))
    assert noise[:, 0].std() < 0.6 * noise[:, 1].std(), "the wide tile is averaged, not thinned out"


def test_every_tile_has_the_brightness_and_contrast_of_the_set():
    encoder = TinyEncoder()
    tiles = torch.rand(2, 4, 3, 8, 8) * torch.linspace(0.2, 1, 4).view(1, 4, 1, 1, 1)
    tiles[0, 0] = 0.7
    assert encode_tiles(encoder, tiles, 8).shape == (2, 4, DIM)
    seen = encoder.seen[-1].view(2, 4, 3, 64)
    expected_mean, expected_std = encoder.mean_buffer.view(3), encoder.std_buffer.view(3)
    torch.testing.assert_close(seen.mean(-1), expected_mean.expand(2, 4, 3))
    assert torch.allclose(seen[0, 0].std(-1), torch.zeros(3), atol=1e-4), "an empty tile stays empty"
    torch.testing.assert_close(seen[1].std(-1, correction=0), expected_std.expand(4, 3))


def test_small_tiles_are_enlarged_and_large_ones_are_not():
    encoder = TinyEncoder()
    for side, seen in ((8, 32), (40, 40)):
        encode_tiles(encoder, torch.rand(2, 4, 3, side, side), 32)
        assert encoder.seen[-1].shape[-1] == seen


def test_a_vae_is_the_bound_on_the_likelihood():
    method, views = make("vae", beta=3.0, pixel_std=0.2, latent_dim=5, decoder_dim=4)
    torch.manual_seed(4)
    noise = torch.randn(B, 5)
    torch.manual_seed(4)
    found = method.loss(views, START)
    with torch.no_grad():
        features = method.encoder(views[0])
        mean, log_variance = method.mean(features), method.log_variance(features)
        decoded = method.decoder(mean + log_variance.exp().sqrt() * noise, side=SIDE).double().numpy()
    density = torch.distributions.Normal(torch.from_numpy(decoded), 0.2).log_prob(views[0].double())
    constant = 3 * SIDE**2 * math.log(0.2 * math.sqrt(2 * math.pi))
    reconstruction = (-density.sum(dim=(1, 2, 3)) - constant).mean().item()
    posterior = torch.distributions.Normal(mean.double(), (0.5 * log_variance.double()).exp())
    prior = torch.distributions.Normal(torch.zeros(5).double(), torch.ones(5).double())
    divergence = torch.distributions.kl_divergence(posterior, prior).sum(dim=1).mean().item()
    values = 3 * SIDE**2
    assert found["reconstruction"].item() == pytest.approx(reconstruction / values, rel=1e-5)
    assert found["divergence"].item() == pytest.approx(divergence / values, rel=1e-4)
    assert found["loss"].item() == pytest.approx((reconstruction + 3 * divergence) / values, rel=1e-5)


def test_without_beta_a_vae_only_draws_again():
    method, views = make("vae", beta=0.0, pixel_std=0.5)
    found = method.loss(views, START)
    assert found["loss"].item() == found["reconstruction"].item()
    assert found["divergence"].item() > 0


def test_the_prior_diverges_by_nothing_from_itself():
    assert divergence_from_prior(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]
    assert divergence_from_prior(torch.ones(1, 4), torch.zeros(1, 4)).tolist() == [2]


@pytest.mark.parametrize("side", [24, 40, 64, 100])
def test_a_vae_draws_views_of_any_side(side):
    method, _ = make("vae", decoder_dim=2)
    drawn = method.decoder(torch.randn(3, settings.defaults("method", "vae")["latent_dim"]), side=side)
    assert drawn.shape == (3, 3, side, side)
    assert drawn.min() >= 0
    assert drawn.max() <= 1


@pytest.mark.parametrize("recipe", settings.choices("views"))
@pytest.mark.parametrize("name", settings.choices("method"))
def test_what_a_method_says_of_the_views_is_an_option_of_theirs(name, recipe):
    values, views = settings.defaults("method", name), settings.defaults("views", recipe)
    for key, value in values.get("views", {}).items():
        assert key in views
        assert not isinstance(value, dict) or set(value) <= set(views[key])


@pytest.mark.parametrize("recipe", settings.choices("views"))
def test_rotation_is_asked_of_upright_views(recipe):
    views = fitting_views(settings.defaults("method", "rotation"), settings.defaults("views", recipe))
    assert views["rotation"] == views["flip"]["vertical"] == 0


@pytest.mark.parametrize("recipe", settings.choices("views"))
def test_mae_draws_scans_that_look_as_they_are(recipe):
    views = fitting_views(settings.defaults("method", "mae"), settings.defaults("views", recipe))
    geometry = ("smallest_crop", "flip", "rotation", "aspect", "elastic")
    appearance = Appearance(channels=3, **{key: value for key, value in views.items() if key not in geometry})
    scans, generator = torch.rand(B, 3, SIDE, SIDE), torch.Generator()
    assert torch.equal(appearance(scans.clone(), Draws(generator)), scans)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("jigsaw", {"tile": 1.2}, r"tile.* in \(0, 1\], got 1.2"),
        ("jigsaw", {"grid": 4}, "2 to 9 tiles, got 16"),
        ("jigmag", {"magnifications": [1.0, 1.0]}, "different magnifications"),
        ("jigmag", {"magnifications": [0.5, 1.0]}, "each at least 1"),
        ("vae", {"beta": -1.0}, "beta >= 0"),
        ("vae", {"pixel_std": 0.0}, "pixel_std > 0"),
        ("vae", {"n_doublings": 0}, "n_doublings of at least 1"),
    ],
)
def test_values_that_make_no_sense(name, values, message):
    with pytest.raises(ValueError, match=message):
        make(name, **values)
