"""Losses of mae, mocov3, lejepa, mmcr and densecl against the papers' formulas, and what keeps each of them honest."""

import numpy as np
import pytest
import torch
from tiny import MULTI_CROP, START, B, make

from ssl_robust import settings
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.pretrain.method import build_method
from ssl_robust.pretrain.optimizers import build_optimizer
from ssl_robust.records import Progress
from ssl_robust.run import UserError

SIDE, PATCH = 32, 8


def around_transformer(name, *, architecture="test_vit", encoder_args=None, **values):
    torch.manual_seed(0)
    arguments = {"patch_size": PATCH} if encoder_args is None else encoder_args
    statistics = {"mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3]}
    encoder = create_encoder(architecture, in_chans=3, input_size=SIDE, **statistics, encoder_args=arguments)
    return build_method({**settings.defaults("method", name), **values}, encoder)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def log_softmax(row):
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


def loss_of(method, views):
    return method.loss(views, START)["loss"].item()


def projected(method, views):
    with torch.no_grad():
        return np.stack([method.projector(method.encoder(view)).double().numpy() for view in views])


def test_mocov3_is_infonce_with_the_keys_of_the_batch():
    method, views = make("mocov3", hidden_dim=16, output_dim=8, temperature=0.3)
    k = unit(projected(method, views))  # the key encoder is still a copy
    with torch.no_grad():
        q = [unit(method.predictor(method.projector(method.encoder(view))).double().numpy()) for view in views]
    total = 0.0
    for query, key in ((q[0], k[1]), (q[1], k[0])):
        for i in range(B):
            scores = np.array([query[i] @ key[j] / 0.3 for j in range(B)])
            total -= 2 * 0.3 * log_softmax(scores)[i] / B
    assert loss_of(method, views) == pytest.approx(total, rel=1e-4)


def test_mocov3_keeps_the_patch_projection_of_a_transformer_as_it_was_drawn():
    method = around_transformer("mocov3", hidden_dim=16, output_dim=8)
    optimizer = build_optimizer(method, {**settings.defaults("optim", "adamw"), "lr": 0.1}, scans_per_step=256)
    before = {key: value.clone() for key, value in method.encoder.timm.state_dict().items()}
    for _ in range(2):
        method.loss([torch.rand(B, 3, SIDE, SIDE) for _ in range(2)], START)["loss"].backward()
        optimizer.step()
        method.after_step(Progress(1, 100, 0, 10))
    after = method.encoder.timm.state_dict()
    assert {key for key in before if torch.equal(before[key], after[key])} == {
        "patch_embed.proj.weight",
        "patch_embed.proj.bias",
    }


def test_mocov3_trains_all_of_a_convolutional_network():
    method = around_transformer("mocov3", architecture="resnet10t", encoder_args={}, hidden_dim=16, output_dim=8)
    assert all(parameter.requires_grad for parameter in method.encoder.parameters())


def epps_pulley(projections, directions, largest, knots):
    """Mean over views and directions of N times the weighted squared distance of characteristic functions."""
    frequencies = np.linspace(-largest, largest, 2 * knots - 1)
    normal = np.exp(-(frequencies**2) / 2)
    statistics = []
    for view in projections:
        for direction in directions.T:
            empirical = np.exp(1j * np.outer(view @ direction, frequencies)).mean(axis=0)
            statistics.append(len(view) * np.trapezoid(np.abs(empirical - normal) ** 2 * normal, frequencies))
    return np.mean(statistics)


def test_lejepa_is_invariance_and_the_test_for_normality():
    sizes = {"hidden_dim": 16, "output_dim": 8, "n_directions": 5, "n_knots": 7, "largest_frequency": 4.0}
    method, views = make("lejepa", crops=MULTI_CROP, sigreg_weight=0.3, **sizes)
    method.eval()  # in training, batch normalisation sees all views of one size together
    z = projected(method, views)
    torch.manual_seed(3)
    directions = torch.randn(8, 5).double().numpy()
    directions /= np.linalg.norm(directions, axis=0)
    invariance = ((z - z[:2].mean(axis=0)) ** 2).mean()
    expected = 0.3 * epps_pulley(z, directions, 4.0, 7) + 0.7 * invariance
    torch.manual_seed(3)
    assert loss_of(method, views) == pytest.approx(expected, rel=1e-4)


def test_the_test_for_normality_tells_a_collapse():
    method, _ = make("lejepa", n_directions=64)
    torch.manual_seed(0)
    normal = torch.randn(1, 512, 64)
    others = {
        "one point": torch.zeros_like(normal),
        "one line": normal[..., :1].expand_as(normal) / 8,
        "too wide": 3 * normal,
    }
    # Of n normal samples |empirical - normal|² is (1 - exp(-t²)) / n in the mean, whose integral has a closed form.
    expected = np.sqrt(2 * np.pi) * (1 - 1 / np.sqrt(3))
    assert method.sigreg(normal).item() == pytest.approx(expected, rel=0.2)
    for name, projections in others.items():
        assert method.sigreg(projections) > 100, name


def test_mmcr_is_the_nuclear_norm_of_the_centroids():
    method, views = make("mmcr", crops=[{"n": 3, "size": 1.0}], hidden_dim=16, output_dim=8)
    method.eval()
    centroids = unit(projected(method, views)).mean(axis=0)
    singular = np.sqrt(np.linalg.eigvalsh(centroids @ centroids.T).clip(0))
    assert loss_of(method, views) == pytest.approx(-singular.sum() / B, rel=1e-4)


def test_mae_is_the_error_of_the_normalised_pixels_of_masked_patches():
    method = around_transformer("mae", mask_ratio=0.5)
    images = torch.rand(B, 3, SIDE, SIDE)
    torch.manual_seed(5)
    loss = loss_of(method, [images])
    torch.manual_seed(5)
    order = torch.rand(B, 16).argsort(dim=1)
    with torch.no_grad():
        drawn = method.decode(method.encode(images, order[:, :8]), order[:, :8]).double().numpy()
    errors = []
    for scan in range(B):
        for patch in order[scan, 8:].tolist():
            row, column = PATCH * (patch // 4), PATCH * (patch % 4)
            pixels = images[scan, :, row : row + PATCH, column : column + PATCH].double().numpy()
            pixels = pixels.transpose(1, 2, 0).ravel()  # row by row, the channels of a pixel side by side
            pixels = (pixels - pixels.mean()) / np.sqrt(pixels.var(ddof=1) + 1e-6)
            errors.append(((drawn[scan, patch] - pixels) ** 2).mean())
    assert loss == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.parametrize("arguments", [{}, {"global_pool": "avg"}, {"reg_tokens": 2, "no_embed_class": True}])
def test_mae_encodes_all_patches_as_timm_does(arguments):
    method = around_transformer("mae", encoder_args={"patch_size": PATCH, **arguments}).eval()
    images = torch.rand(B, 3, SIDE, SIDE)
    inputs = (images - method.encoder.mean_buffer) / method.encoder.std_buffer
    with torch.no_grad():
        tokens = method.encode(images, torch.arange(16).expand(B, -1))
        expected = method.encoder.timm.fc_norm(method.encoder.timm.forward_features(inputs))
    torch.testing.assert_close(tokens, expected)


@pytest.mark.parametrize("arguments", [{}, {"reg_tokens": 2, "no_embed_class": True}, {"class_token": False}])
def test_mae_tells_the_encoder_from_the_start_where_a_patch_is(arguments):
    arguments = {"global_pool": "avg", **arguments} if "class_token" in arguments else arguments
    embedding = around_transformer("mae", encoder_args={"patch_size": PATCH, **arguments}).encoder.timm.pos_embed[0]
    places = embedding[-16:].detach().numpy()
    assert np.allclose(np.linalg.norm(places, axis=1), np.sqrt(embedding.shape[1] / 2))  # sin² + cos² = 1
    similarity = unit(places) @ unit(places).T
    assert np.sort(similarity - np.eye(16)).max() < 0.99
    assert similarity[0, 1] > similarity[0, 3], "neighbours are alike"
    assert similarity[0, 4] > similarity[0, 12]
    assert np.allclose(similarity[1, 0], similarity[1, 2]), "left and right, as far"
    assert not embedding[:-16].detach().any()


def test_mae_does_not_show_masked_pixels_to_the_encoder():
    method = around_transformer("mae").eval()
    visible = torch.tensor([[3, 7]])
    images = torch.rand(1, 3, SIDE, SIDE)
    masked = images.clone()
    changed = images.clone()
    changed[..., :PATCH, 3 * PATCH :] += 0.1  # of patch 3
    for rows in (slice(0, PATCH), slice(PATCH, 2 * PATCH)):  # all but patches 3 and 7
        masked[..., rows, : 3 * PATCH] = 0
    masked[..., 2 * PATCH :, :] = 0
    with torch.no_grad():
        tokens = method.encode(images, visible)
        assert torch.equal(method.encode(masked, visible), tokens)
        assert not torch.equal(method.encode(changed, visible), tokens)


def test_mae_decodes_each_patch_in_its_place():
    method = around_transformer("mae").eval()
    images = torch.rand(B, 3, SIDE, SIDE)
    order = torch.rand(B, 16).argsort(dim=1)[:, :4]
    shuffled = order.flip(1)
    with torch.no_grad():
        drawn, again = (method.decode(method.encode(images, each), each) for each in (order, shuffled))
    torch.testing.assert_close(drawn, again)


@pytest.mark.parametrize("architecture", ["resnet10t", "test_vit3"])
def test_mae_refuses_what_has_no_patches_to_hide(architecture):
    with pytest.raises(UserError, match=f"vision transformer, which encoder={architecture} is not; take e.g. encoder="):
        around_transformer("mae", architecture=architecture, encoder_args={})


@pytest.mark.parametrize(
    ("values", "encoder_args", "message"),
    [
        ({"crops": [{"n": 2, "size": 1.0}]}, None, "one whole view"),
        ({"crops": [{"n": 1, "size": 0.5}]}, None, "one whole view"),
        ({"mask_ratio": 1.0}, None, "shows 0 of 16 patches"),
        ({"mask_ratio": 0.0}, None, "shows 16 of 16 patches"),
        ({}, {"patch_size": 12}, "patches of 12 px do not tile scans of 32 px"),
    ],
)
def test_mae_refuses_sizes_that_do_not_fit(values, encoder_args, message):
    with pytest.raises(ValueError, match=message):
        around_transformer("mae", encoder_args=encoder_args, **values)


def test_densecl_is_infonce_of_whole_views_and_of_matched_places():
    sizes = {"queue_size": 20, "hidden_dim": 16, "output_dim": 8}
    method = around_transformer("densecl", temperature=0.3, dense_weight=0.4, **sizes)
    views = [torch.rand(B, 3, SIDE, SIDE) for _ in range(2)]
    queue, dense_queue = (each.bank.double().numpy().copy() for each in (method.queue, method.dense_queue))
    with torch.no_grad():
        features = [method.encoder.feature_map(view).flatten(2).transpose(1, 2) for view in views]
        wholes = [unit(method.head(method.encoder(view)).double().numpy()) for view in views]
        raw = [method.dense_head(each).double().numpy() for each in features]
    places, features = [unit(each) for each in raw], [unit(each.double().numpy()) for each in features]
    whole, dense = [], []
    for query, key in ((0, 1), (1, 0)):  # the key encoder is still a copy
        for i in range(B):
            q = wholes[query][i]
            whole.append(-log_softmax(np.concatenate([[q @ wholes[key][i]], queue @ q]) / 0.3)[0])
            for place, looks in zip(places[query][i], features[query][i], strict=True):
                like = places[key][i][np.argmax(features[key][i] @ looks)]
                dense.append(-log_softmax(np.concatenate([[place @ like], dense_queue @ place]) / 0.3)[0])
    assert loss_of(method, views) == pytest.approx(0.6 * np.mean(whole) + 0.4 * np.mean(dense), rel=1e-4)
    expected = unit(np.concatenate([raw[1], raw[0]]).mean(axis=1))
    assert np.allclose(method.dense_queue.bank[: 2 * B], expected, atol=1e-5)
    assert np.allclose(method.queue.bank[: 2 * B], np.concatenate([wholes[1], wholes[0]]), atol=1e-5)


def test_densecl_refuses_a_map_of_few_places():
    with pytest.raises(
        UserError, match="resnet10t makes 1 x 1 of a view of 32 px; take encoder_args.output_stride=8 or"
    ):
        around_transformer("densecl", architecture="resnet10t", encoder_args={})
    around_transformer("densecl", architecture="resnet10t", encoder_args={"output_stride": 8})


@pytest.mark.parametrize("architecture", ["resnet10t", "test_vit", "test_convnext"])
def test_one_pass_gives_the_pooled_features_and_the_map(architecture):
    method = around_transformer("lejepa", architecture=architecture, encoder_args={}).eval()
    images = torch.rand(B, 3, SIDE, SIDE)
    with torch.no_grad():
        pooled, grid = method.encoder.pooled_and_map(images)
        torch.testing.assert_close(pooled, method.encoder(images))
        torch.testing.assert_close(grid, method.encoder.feature_map(images))


def test_mae_leaves_weights_alone_that_have_learned():
    encoder = create_encoder(
        "test_vit", in_chans=3, input_size=32, mean=[0.5] * 3, std=[0.2] * 3, encoder_args={"patch_size": 8}
    )
    before = encoder.timm.pos_embed.clone()
    encoder.is_new = False
    build_method(settings.defaults("method", "mae"), encoder)
    assert torch.equal(encoder.timm.pos_embed, before)
    encoder.is_new = True
    build_method(settings.defaults("method", "mae"), encoder)
    assert not torch.equal(encoder.timm.pos_embed, before)
