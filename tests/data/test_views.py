"""Each piece of the fused augmentation against its written-out formula, and what a call promises."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as TF

from ssl_robust.data.draws import Draws
from ssl_robust.data.pixels import to_unit
from ssl_robust.data.view_transforms import (
    LUMA,
    add_smooth_field,
    affine_matrices,
    apply_color,
    color_matrices,
    color_offsets,
    gaussian_blur,
    resample,
    window,
)
from ssl_robust.data.views import Views
from ssl_robust.records import Crop
from ssl_robust.settings import choices, defaults

WHOLE = [Crop(n=2, size=1.0, scale=(1.0, 1.0))]
IDENTITY = {
    "flip": {"horizontal": 0, "vertical": 0},
    "smallest_crop": 0.5,
    "rotation": 0,
    "aspect": 1,
    "elastic": {"strength": 0, "grid": 3},
    "stain": {"p": 0, "factor": 0, "offset": 0},
    "jitter": {"p": 0, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0},
    "window": {"p": 0, "level": 0, "width": [1.0, 1.0]},
    "gamma": 0,
    "grayscale": 0,
    "blur": {"p": 0, "sigma": [0.1, 2.0]},
    "noise": {"p": 0, "sigma": [0.0, 0.1]},
}


@pytest.fixture
def images():
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def make_views(crops=WHOLE, *, image_size=32, channels=3, **changes):
    return Views(crops=crops, image_size=image_size, channels=channels, **{**IDENTITY, **changes})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def geometry(extent=(1.0, 1.0), degrees=0.0, center=(0.0, 0.0), mirror=(1.0, 1.0)):
    return affine_matrices(
        torch.tensor([extent]), torch.tensor([math.radians(degrees)]), torch.tensor([center]), torch.tensor([mirror])
    )


def factors(n=4, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0):
    return [torch.full((n,), value) for value in (brightness, contrast, saturation, hue)]


@pytest.mark.parametrize("recipe", choices("views"))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_every_recipe_keeps_the_promises(recipe, channels, dtype):
    stored = torch.rand(5, channels, 32, 32, generator=seeded())
    if not dtype.is_floating_point:
        stored = (stored * torch.iinfo(dtype).max).to(dtype)
    crops = [Crop(2, 1.0, (0.3, 1.0)), Crop(3, 0.5, (0.1, 0.3))]
    views = Views(crops=crops, image_size=32, channels=channels, **defaults("views", recipe))
    made = views(stored, seeded())
    assert len(made) == views.n_views == 5
    assert [view.shape[-1] for view in made] == [32, 32, 24, 24, 24]
    for view in made:
        assert view.shape[:2] == (5, channels)
        assert view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= view.min() <= view.max() <= 1
    again = views(stored, seeded())
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))
    assert not torch.equal(made[0], views(stored, seeded(1))[0])
    assert not torch.equal(made[0], made[1])


def test_identity_recipe_returns_the_scan(images):
    for view in make_views()(images, seeded()):
        torch.testing.assert_close(view, images, atol=1e-5, rtol=0)


def test_what_is_off_draws_no_numbers(images):
    # Recipes without the newer transforms keep the views that they gave before these were there.
    used, expected = seeded(), seeded()
    make_views()(images, used)
    for _ in ("area", "aspect", "x", "y", "angle", "flip", "flip"):
        torch.rand(12, generator=expected)
    assert torch.equal(used.get_state(), expected.get_state())


def test_large_batches_keep_their_order():
    # More scans than are worked on at once on a CPU; each has a brightness of its own.
    scans = torch.linspace(0, 1, 300).view(-1, 1, 1, 1).expand(-1, 3, 64, 64)
    crops = [Crop(2, 1.0, (0.3, 1.0)), Crop(1, 0.5, (0.1, 0.3))]
    for view in make_views(crops, image_size=64, rotation=180)(scans, seeded()):
        torch.testing.assert_close(view.mean((1, 2, 3)), scans[:, 0, 0, 0], atol=1e-4, rtol=0)


def test_the_input_is_left_as_it_was(images):
    before = images.clone()
    Views(crops=WHOLE, image_size=32, channels=3, **defaults("views", "photo"))(images, seeded())
    assert torch.equal(images, before)


def test_smaller_views_are_multiples_of_eight_and_at_least_24(images):
    crops = [Crop(1, 1.0, (0.5, 1.0)), Crop(1, 0.43, (0.1, 0.2)), Crop(1, 0.01, (0.1, 0.2)), Crop(1, 1.0, (0.1, 0.2))]
    sides = [view.shape[-1] for view in make_views(crops, image_size=96)(images, seeded())]
    assert sides == [96, 40, 24, 96]


@pytest.mark.parametrize(("image_size", "half"), [(28, 24), (40, 24), (50, 24), (60, 32), (100, 48)])
def test_a_whole_view_is_as_large_as_the_scan(image_size, half):
    scans = torch.rand(2, 3, image_size, image_size, generator=seeded())
    made = make_views([Crop(1, 1.0, (1.0, 1.0)), Crop(1, 0.5, (0.2, 0.3))], image_size=image_size)(scans, seeded())
    assert [view.shape[-1] for view in made] == [image_size, half]


def test_crops_of_one_size_keep_their_own_scales():
    # A ramp: the spread of its values tells how much of the scan a view shows.
    ramp = torch.linspace(0, 1, 64).expand(8, 1, 64, 64)
    crops = [Crop(1, 1.0, (0.01, 0.02)), Crop(1, 1.0, (1.0, 1.0))]
    small, whole = make_views(crops, image_size=64, channels=1)(ramp, seeded())
    assert (small.amax((1, 2, 3)) - small.amin((1, 2, 3))).max() < 0.2
    assert (whole.amax((1, 2, 3)) - whole.amin((1, 2, 3))).min() > 0.95


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_right_angles_equal_rot90(images, quarter_turns):
    turned = resample(images[:1], geometry(degrees=90 * quarter_turns), 32)
    torch.testing.assert_close(turned, torch.rot90(images[:1], quarter_turns, (2, 3)), atol=1e-5, rtol=0)


def test_mirrors_equal_flip(images):
    torch.testing.assert_close(
        resample(images[:1], geometry(mirror=(-1.0, 1.0)), 32), images[:1].flip(3), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        resample(images[:1], geometry(mirror=(1.0, -1.0)), 32), images[:1].flip(2), atol=1e-5, rtol=0
    )


def test_crop_equals_resized_crop(images):
    # The left upper quarter, enlarged twice: bilinear without anti-aliasing, away from the seam to the rest.
    made = resample(images[:1], geometry(extent=(0.5, 0.5), center=(-0.5, -0.5)), 32)
    expected = TF.resized_crop(images[:1], 0, 0, 16, 16, [32, 32], antialias=False)
    torch.testing.assert_close(made[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_corners_of_rotated_views_are_not_black():
    views = make_views(rotation=180, channels=1)(torch.ones(8, 1, 32, 32), seeded())
    assert min(view.min() for view in views) > 0.999


def test_shrinking_is_anti_aliased():
    # Stripes of one pixel are grey to an eye that sees half the resolution.
    stripes = torch.arange(64).remainder(2).float().expand(4, 1, 64, 64)
    (view,) = make_views([Crop(1, 1.0, (1.0, 1.0))], image_size=16, channels=1)(stripes, seeded())
    torch.testing.assert_close(view, torch.full_like(view, 0.5))


def test_a_uniform_displacement_moves_the_crop(images):
    # In the coordinates of the view: it is turned, flipped and scaled with it.
    matrices = geometry(extent=(0.5, 0.7), degrees=30, mirror=(-1.0, 1.0))
    moved = matrices.clone()
    moved[:, :, 2] = matrices[:, :, :2] @ torch.tensor([0.2, -0.1])
    by_field = resample(images[:1], matrices, 32, displacements=torch.tensor([0.2, -0.1]).expand(1, 3, 3, 2))
    torch.testing.assert_close(by_field, resample(images[:1], moved, 32), atol=1e-4, rtol=0)


def test_a_field_goes_through_its_points_and_is_bicubic_between_them():
    coarse = torch.randn(2, 4, 4, 2, generator=seeded())
    field = add_smooth_field(torch.ones(2, 37, 37, 2), coarse) - 1
    torch.testing.assert_close(field[:, ::12, ::12], coarse)
    images = F.interpolate(coarse.permute(0, 3, 1, 2), size=(37, 37), mode="bicubic", align_corners=True)
    torch.testing.assert_close(field, images.permute(0, 2, 3, 1))


@pytest.mark.parametrize("grid", [3, 5])
def test_the_strongest_deformation_does_not_fold_the_scan(grid):
    strongest = make_views(elastic={"strength": 0.1 / (grid - 1), "grid": grid})._geometry
    places = add_smooth_field(torch.zeros(200, 64, 64, 2), strongest._displacements(200, Draws(seeded())))
    step = 2 / 63
    dx, dy = places.diff(dim=2)[:, :-1] / step, places.diff(dim=1)[:, :, :-1] / step
    areas = (1 + dx[..., 0]) * (1 + dy[..., 1]) - dx[..., 1] * dy[..., 0]
    assert areas.min() > 0
    assert areas.std() > 0.05


def test_each_view_is_deformed_in_its_own_way(images):
    first, second = make_views(elastic={"strength": 0.03, "grid": 3})(images[:1].repeat(2, 1, 1, 1), seeded())
    views = [images[0], *first, *second]
    assert all((a - b).abs().mean() > 0.01 for i, a in enumerate(views) for b in views[:i])


def test_a_window_stretches_between_its_ends_and_clips():
    values = torch.tensor([0.0, 0.2, 0.3, 0.4, 0.6, 1.0]).view(1, 1, 1, 6).expand(3, 1, 1, 6)
    shown = window(values, torch.tensor([0.5, 0.4, 0.5]), torch.tensor([1.0, 0.4, 2.0]))[:, 0, 0]
    torch.testing.assert_close(shown[0], values[0, 0, 0])
    torch.testing.assert_close(shown[1], torch.tensor([0.0, 0.0, 0.25, 0.5, 1.0, 1.0]))
    torch.testing.assert_close(shown[2], values[0, 0, 0] / 2 + 0.25)


def test_one_window_for_all_pixels_whatever_else_the_view_shows():
    # Unlike contrast: the left half of the scans differs, the right half must come out alike.
    scans = torch.full((2, 1, 32, 32), 0.6)
    scans[1, ..., :16] = 0.1
    made = [make_views(channels=1, window={"p": 1.0, "level": 0.2, "width": [0.5, 2.0]})(scan[None], seeded())[0]
            for scan in scans]  # fmt: skip
    assert torch.equal(made[0][..., 20:], made[1][..., 20:])
    assert (made[0][..., 20:] - 0.6).abs().min() > 1e-3


def test_only_colored_scans_are_stained(images):
    stain = {"p": 1.0, "factor": 0.2, "offset": 0.05}
    view, _ = make_views(stain=stain)(images, seeded())
    assert (view - images).abs().amax((1, 2, 3)).min() > 0.01
    view, _ = make_views(stain=stain, channels=1)(images[:, :1], seeded())
    torch.testing.assert_close(view, images[:, :1], atol=1e-5, rtol=0)


def test_color_follows_the_written_out_formulas(images):
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    gray = (images * luma).sum(1, keepdim=True)

    def colored(**named):
        values = factors(len(images), **named)
        return apply_color(images, color_matrices(*values), color_offsets(images, *values[:2]))

    torch.testing.assert_close(colored(), images)
    torch.testing.assert_close(colored(brightness=1.3), images * 1.3)
    contrasted = 0.6 * images + 0.4 * gray.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(colored(contrast=0.6), contrasted)
    torch.testing.assert_close(colored(saturation=0.2), 0.2 * images + 0.8 * gray)
    torch.testing.assert_close(colored(saturation=0.0), gray.expand_as(images))
    turned = colored(hue=0.2)
    torch.testing.assert_close((turned * luma).sum(1, keepdim=True), gray)
    assert (turned - images).abs().mean() > 0.05
    in_order = 0.7 * (0.6 * images * 1.2 + 0.4 * 1.2 * gray.mean((1, 2, 3), keepdim=True))
    in_order += 0.3 * (in_order / 0.7 * luma).sum(1, keepdim=True)
    torch.testing.assert_close(colored(brightness=1.2, contrast=0.6, saturation=0.7), in_order)


def test_color_equals_torchvision_one_change_at_a_time(images):
    images = images * 0.5 + 0.2  # nothing reaches the clipping of torchvision
    for name, change in (("contrast", TF.adjust_contrast), ("saturation", TF.adjust_saturation)):
        values = factors(1, **{name: 0.7})
        made = apply_color(images[:1], color_matrices(*values), color_offsets(images[:1], *values[:2]))
        torch.testing.assert_close(made, change(images[:1], 0.7), atol=1e-3, rtol=0)


def test_blur_equals_torchvision(images):
    sigmas = torch.tensor([0.3, 0.8, 1.1, 1.6, 2.0, 2.0])
    made = gaussian_blur(images, sigmas, radius=6)
    for sample, sigma in enumerate(sigmas):
        expected = TF.gaussian_blur(images[sample], [13, 13], [float(sigma)] * 2)
        torch.testing.assert_close(made[sample], expected, atol=1e-5, rtol=1e-4)


def test_only_chosen_samples_are_blurred_or_noisy(images):
    images = images.repeat(20, 1, 1, 1)
    for change in ({"blur": {"p": 0.5, "sigma": [1.0, 1.0]}}, {"noise": {"p": 0.5, "sigma": [0.1, 0.1]}}):
        view, _ = make_views(**change)(images, seeded())
        changed = ((view - images).abs().amax((1, 2, 3)) > 1e-3).float().mean()
        assert 0.3 < changed < 0.7


def test_gamma_is_a_power(images):
    view, _ = make_views(gamma=0.5)(images.clamp(0.05, 0.95), seeded())
    exponents = view.log() / images.clamp(0.05, 0.95).log()
    spread = exponents.amax((1, 2, 3)) - exponents.amin((1, 2, 3))
    assert spread.max() < 1e-2
    assert 1 / 1.5 - 1e-3 < exponents.min() < exponents.max() < 1.5 + 1e-3


def test_grayscale_takes_the_color_away(images):
    view, _ = make_views(grayscale=1.0)(images, seeded())
    torch.testing.assert_close(view[:, 0], view[:, 2])
    assert TF.rgb_to_grayscale(images).sub(view[:, :1]).abs().max() < 1e-3


def test_stored_integers_reach_the_unit_interval():
    for dtype in (torch.uint8, torch.uint16):
        largest = torch.iinfo(dtype).max
        assert to_unit(torch.tensor([0, largest], dtype=dtype)).tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="int64"):
        to_unit(torch.tensor([1]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crops": []}, "at least one crop"),
        ({"crops": [Crop(1, 1.0, (0.0, 1.0))]}, "scale"),
        ({"channels": 4}, "channels"),
        ({"aspect": 0.5}, "aspect"),
        ({"grayscale": 1.5}, "grayscale"),
        ({"flip": {"horizontal": 0, "vertical": 2}}, "flip"),
        ({"elastic": {"strength": 0.01, "grid": 1}}, "grid"),
        ({"elastic": {"strength": 0.1, "grid": 3}}, "fold"),
        ({"stain": {"p": 2, "factor": 0, "offset": 0}}, "stain.p"),
        ({"window": {"p": 1, "level": 0, "width": [0.0, 1.0]}}, "window.width"),
        ({"blur": {"p": 0.5, "sigma": [0.0, 1.0]}}, "sigma"),
    ],
)
def test_impossible_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_views(**changes)


def test_wrong_images_are_named(images):
    with pytest.raises(ValueError, match=r"\(B, 1, S, S\)"):
        make_views(channels=1)(images, seeded())
    with pytest.raises(ValueError, match="square"):
        make_views()(images[..., :20], seeded())


def test_the_recipe_says_how_small_a_crop_may_be_unless_the_crop_does():
    ramp = torch.linspace(0, 1, 64).expand(64, 1, 64, 64)
    crops = [Crop.read({"n": 1, "size": 1.0}), Crop.read({"n": 1, "size": 1.0, "scale": [0.01, 0.02]})]
    by_recipe, by_crop = make_views(crops, image_size=64, channels=1, smallest_crop=0.81)(ramp, seeded())
    shown = by_recipe.amax((1, 2, 3)) - by_recipe.amin((1, 2, 3))
    assert 0.85 < shown.min() < 0.95, "0.9 of the width is 0.81 of the area"
    assert (by_crop.amax((1, 2, 3)) - by_crop.amin((1, 2, 3))).max() < 0.2
