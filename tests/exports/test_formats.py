"""Every export is read by the library that it is for, and its features are compared."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file

import ssl_robust
from ssl_robust.encoders.card import read_card
from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.exports.export import export
from ssl_robust.run import UserError


def features(model, images):
    with torch.inference_mode():
        return model(images)


def executed(directory, monkeypatch):
    """The names that the README's Python leaves behind; `images` and `features` are among them."""
    text = (directory / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(directory)
    names = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    return names


def written(directory, tmp_path, style, **options):
    return export(directory, tmp_path / "out" / style, style=style, **{"dtype": "stored", "license": "mit", **options})


@pytest.mark.parametrize(
    ("style", "name", "in_chans"),
    [
        ("timm", "resnet10t", 1),
        ("timm", "test_vit", 3),
        ("torchvision", "resnet18", 3),
        ("torchvision", "resnet18", 1),
        pytest.param("torchvision", "resnet50", 3, marks=pytest.mark.slow),
        pytest.param("torchvision", "densenet121", 1, marks=pytest.mark.slow),
        ("huggingface", "resnet10t", 3),
        ("huggingface", "test_vit", 1),
    ],
)
def test_the_readme_itself_gives_the_same_features(make, tmp_path, monkeypatch, style, name, in_chans):
    directory, encoder = make(name, in_chans=in_chans)
    out = written(directory, tmp_path, style)
    names = executed(out, monkeypatch)
    grey_to_torchvision = style == "torchvision" and in_chans == 1
    images = names["images"][:, :1].expand(-1, 3, -1, -1) if grey_to_torchvision else names["images"]
    got = features(names["model"], (images - names["mean"]) / names["std"])
    expected = features(encoder, images[:, :in_chans])
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
    if not grey_to_torchvision:
        torch.testing.assert_close(names["features"], got)


@pytest.mark.parametrize("style", ["timm", "huggingface"])
def test_half_precision_halves_the_file_and_hardly_moves_the_features(make, tmp_path, style):
    directory, encoder = make()
    out = written(directory, tmp_path, style, dtype="float16")
    file = next(out.glob("*.safetensors"))
    assert file.stat().st_size < 0.51 * (directory / "encoder.safetensors").stat().st_size
    back = load_encoder(out)
    assert {value.dtype for value in back.parameters()} == {torch.float32}
    images = torch.rand(4, 3, 32, 32)
    one, other = features(back, images), features(encoder, images)
    # Rounding to 11 bits moves a weight by 2^-11 at most, about 0.0005 of itself.
    assert (one - other).norm() < 2e-3 * other.norm()
    assert not torch.equal(one, other)
    if style == "timm":
        assert read_card(out).weights_dtype == "float16"
        again = export(out, tmp_path / "again", style="timm", dtype="stored", license="mit")
        assert (again / "encoder.safetensors").read_bytes() == file.read_bytes()


def test_norms_and_statistics_stay_exact(make, tmp_path):
    directory, encoder = make()
    weights = load_file(written(directory, tmp_path, "timm", dtype="float16") / "encoder.safetensors")
    for key, value in encoder.timm.state_dict().items():
        assert weights[key].dtype == (torch.float16 if value.ndim >= 2 else value.dtype)
        if value.ndim < 2:
            assert torch.equal(weights[key], value)


def test_a_weight_that_half_precision_cannot_hold(make, tmp_path):
    directory, encoder = make()
    from ssl_robust.encoders.checkpoint import save_encoder

    with torch.no_grad():
        encoder.timm.conv1[0].weight[0, 0, 0, 0] = 1e6
    save_encoder(encoder, directory, card=read_card(directory))
    with pytest.raises(UserError, match=r"conv1.0.weight holds values that float16 cannot"):
        written(directory, tmp_path, "timm", dtype="float16")
    assert not list((tmp_path / "out").iterdir())


def test_the_hub_format_is_timms(make, tmp_path):
    directory, encoder = make("test_vit", in_chans=1)
    out = written(directory, tmp_path, "huggingface")
    model = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    assert (model.num_classes, model.pretrained_cfg["mean"], model.pretrained_cfg["std"]) == (0, [0.4], [0.2])
    _, front, _ = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["license"] == "mit"
    assert front["library_name"] == "timm"
    assert "medical-imaging" in front["tags"]
    # What ssl-robust itself makes of the folder.
    back = load_encoder(out)
    assert (back.mean, back.std, back.in_chans, back.input_size) == ([0.4], [0.2], 1, 32)
    assert back.card.method == "elsewhere"
    assert back.card.data_licence == "unknown (of the weights: mit)"
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(features(back, images), features(encoder, images))


NEEDS_ONNX = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("onnxscript") is None, reason="the extra [onnx] is not installed"),
]


@pytest.mark.parametrize("style", ["timm", "torchvision", "huggingface", pytest.param("onnx", marks=NEEDS_ONNX)])
def test_no_path_leaves_the_machine(make, tmp_path, style):
    directory, _ = make("resnet18")
    out = written(directory, tmp_path, style)
    for file in out.iterdir():
        for place in (tmp_path, Path(timm.__file__).parent, Path(ssl_robust.__file__).parent):
            assert str(place).encode() not in file.read_bytes()
    assert not list(out.parent.glob(".*"))


def test_another_pooling_is_not_torchvisions(make, tmp_path):
    from ssl_robust.encoders.checkpoint import describe, save_encoder
    from ssl_robust.encoders.encoder import create_encoder

    encoder = create_encoder("resnet18", in_chans=3, input_size=32, mean=[0.5] * 3, std=[0.2] * 3,
                             encoder_args={"global_pool": "max"})  # fmt: skip
    card = describe(encoder, resize="pad", method="x", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, tmp_path / "max", card=card)
    with pytest.raises(UserError, match="computes something else"):
        written(tmp_path / "max", tmp_path, "torchvision")


def test_without_the_libraries_onnx_names_them(make, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_robust.exports.onnx_graph.find_spec", lambda name: None if name == "onnxscript" else 1)
    with pytest.raises(
        UserError, match=r'format=onnx needs onnxscript; install them with pip install "ssl-robust\[onnx\]"'
    ):
        written(make()[0], tmp_path, "onnx")


@pytest.mark.parametrize("name", ["resnet10t", "test_vit"])
def test_the_graph_that_is_translated_takes_any_batch(make, name):
    """The part of the translation to ONNX that is torch's alone."""
    from ssl_robust.exports.onnx_graph import graph_of

    _, encoder = make(name)
    program = graph_of(encoder).module()
    for n in (1, 5):
        images = torch.rand(n, 3, 32, 32)
        torch.testing.assert_close(program(images), features(encoder, images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [pytest.param(each, marks=NEEDS_ONNX) for each in ("resnet10t", "test_vit")])
def test_onnxruntime_gives_the_same_features(make, tmp_path, monkeypatch, name):
    pytest.importorskip("onnxruntime")
    directory, encoder = make(name)
    names = executed(written(directory, tmp_path, "onnx"), monkeypatch)
    expected = features(encoder, torch.from_numpy(names["images"]))
    torch.testing.assert_close(torch.from_numpy(names["features"]), expected, rtol=1e-3, atol=1e-4)
    (single,) = names["session"].run(None, {"images": names["images"][:1]})
    torch.testing.assert_close(torch.from_numpy(single), expected[:1], rtol=1e-3, atol=1e-4)


def test_the_card_that_ships_is_json_that_others_read(make, tmp_path):
    out = written(make()[0], tmp_path, "timm")
    assert json.loads((out / "encoder.json").read_text())["architecture"] == "resnet10t"
