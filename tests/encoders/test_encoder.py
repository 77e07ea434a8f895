import copy

import numpy as np
import pytest
import timm
import torch

from ssl_robust.data.pixels import to_unit
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.run import UserError

FAMILIES = ["resnet10t", "regnetx_002", "test_vit", "mobilenetv3_small_050", "swin_tiny_patch4_window7_224"]


def build(name, *, in_chans=1, input_size=32, **others):
    return create_encoder(
        name, in_chans=in_chans, input_size=input_size, mean=[0.5] * in_chans, std=[0.25] * in_chans, **others
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_vectors_maps_and_takes_small_views(name):
    encoder = build(name).eval()
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        vectors, grid, small = encoder(images), encoder.feature_map(images), encoder(images[..., :16, :16])
    assert vectors.shape == small.shape == (2, encoder.dim)
    assert grid.ndim == 4
    assert grid.shape[1] == encoder.timm.num_features
    assert grid.shape[2] == grid.shape[3]


def test_a_feature_map_keeps_the_layout_of_the_scan():
    encoder = build("test_vit").eval()
    images = torch.zeros(1, 1, 32, 32)
    changed = images.clone()
    changed[..., 16:, :16] = 1.0  # bottom left
    with torch.inference_mode():
        difference = (encoder.feature_map(changed) - encoder.feature_map(images)).abs().sum(dim=1)[0]
    assert difference.shape == (2, 2)
    assert difference.argmax() == 2


def test_normalisation_happens_inside_and_stays_out_of_the_weights():
    encoder = build("resnet10t").eval()
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), encoder.timm((images - 0.5) / 0.25))
    assert encoder.state_dict().keys() == {f"timm.{key}" for key in encoder.timm.state_dict()}


def test_stored_integers_are_scaled():
    encoder = build("resnet10t").eval()
    stored = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32), dtype=np.uint8))
    with torch.inference_mode():
        torch.testing.assert_close(encoder(stored), encoder(stored.float() / 255))


def test_autocast_computes_in_bf16_and_answers_in_float32():
    encoder = build("resnet10t").eval()
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        exact = encoder(images)
        encoder.autocast = torch.bfloat16
        rounded = encoder(images)
    assert rounded.dtype == encoder.feature_map(images).dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(("side", "exact"), [(16, True), (24, False)])
def test_views_for_which_bf16_convolutions_are_unsound_take_float32(side, exact):
    encoder = build("resnet10t").eval()
    images = torch.rand(2, 1, side, side)
    expected = encoder(images)
    encoder.autocast = torch.bfloat16
    assert torch.equal(encoder(images), expected) is exact


def test_same_seed_same_weights_and_a_copy_is_independent():
    torch.manual_seed(3)
    one = build("resnet10t")
    torch.manual_seed(3)
    other = build("resnet10t")
    twin = copy.deepcopy(one)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert next(one.parameters()).abs().sum() > 0


def test_encoder_args_reach_timm():
    encoder = build("test_vit", encoder_args={"global_pool": "avg"})
    assert encoder.timm.global_pool == "avg"
    assert encoder.model_args["global_pool"] == "avg"
    with pytest.raises(UserError, match="no_such_option"):
        build("resnet10t", encoder_args={"no_such_option": 1})


@pytest.mark.parametrize("name", ["resnet81", "resnt18", "vit_tinny_patch16_224"])
def test_a_misspelt_name_gets_the_nearest(name):
    with pytest.raises(UserError, match=r"did you mean (resnet|vit_tiny)"):
        build(name)


def test_a_size_that_does_not_fit_names_the_size_that_does():
    with pytest.raises(UserError, match=r"data.image_size=224"):
        build("efficientformer_l1")


def test_wrong_channels_state_both_shapes():
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\), got \(2, 3, 32, 32\)"):
        build("resnet10t")(torch.rand(2, 3, 32, 32))


def test_a_channel_without_contrast_does_not_divide_by_zero():
    encoder = create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.0], std=[0.0]).eval()
    assert encoder(torch.zeros(1, 1, 32, 32)).isfinite().all()


def test_the_names_of_this_file_exist():
    assert all(timm.is_model(name) for name in FAMILIES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float32])
def test_standardizing_by_rows_changes_no_bit(channels, kind):
    mean, std = [0.3, 0.5, 0.6][:channels], [0.1, 0.2, 0.3][:channels]
    encoder = create_encoder("resnet10t", in_chans=channels, input_size=32, mean=mean, std=std)
    images = torch.rand(4, channels, 24, 40) if kind == torch.float32 else torch.randint(0, 255, (4, channels, 24, 40))
    images = images.to(kind).contiguous(memory_format=torch.channels_last)
    before = images.clone()
    expected = (to_unit(images) - encoder.mean_buffer) / encoder.std_buffer
    assert torch.equal(encoder._standardize(images), expected)
    assert torch.equal(images, before)
