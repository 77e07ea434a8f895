"""Encoders that ship, and the one that `default` means."""

import pickle

import numpy as np
import pytest
import torch

import ssl_robust as sr
from ssl_robust.encoders import places
from ssl_robust.encoders.card import read_card
from ssl_robust.encoders.checkpoint import describe, load_encoder, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.encoders.places import default_checkpoint, find_checkpoint, name_of, shipped_checkpoints
from ssl_robust.run import UserError, read_json, write_json


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder in the place of `checkpoints/`."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setattr(places, "shipped_root", lambda: folder)
    return folder


@pytest.fixture
def shipped(root):
    """A tiny encoder that ships under the name "tiny" and is the default."""
    torch.manual_seed(0)
    encoder = create_encoder("resnet10t", in_chans=3, input_size=32, mean=[0.5] * 3, std=[0.2] * 3)
    card = describe(
        encoder, resize="pad", method="simclr", epochs=2, n_scans=90, data_fingerprint="", data_licence="CC0"
    )
    save_encoder(encoder, root / "tiny", card=card)
    (root / "default.txt").write_text("tiny\n")
    return encoder.eval()


def test_default_is_what_one_file_says(shipped, root):
    assert list(shipped_checkpoints()) == ["tiny"]
    assert default_checkpoint() == "tiny"
    assert find_checkpoint("default") == find_checkpoint("tiny") == root / "tiny"
    assert name_of("default") == "tiny"
    assert name_of("runs/ssl") == "ssl"
    assert name_of("runs/ssl/encoder.safetensors") == "ssl"


def test_the_folder_one_is_in_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_of(".") == tmp_path.name


def test_a_folder_of_encoders_names_them_and_a_misspelt_one_its_neighbour(shipped, root):
    with pytest.raises(UserError, match=f"encoders below it: tiny; give one, e.g. checkpoint={root}/tiny"):
        find_checkpoint(root)
    with pytest.raises(UserError, match="tinny does not exist .there is a tiny beside it."):
        find_checkpoint(root / "tinny")


def test_a_folder_of_that_name_does_not_hide_it(shipped, root, tmp_path, monkeypatch):
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("default") == root / "tiny"
    with pytest.raises(UserError, match="holds no encoder"):
        find_checkpoint("./default/")


def test_while_none_ships(root):
    assert default_checkpoint() is None
    with pytest.raises(UserError, match=r"no encoder ships with this version; give a pretrain run's directory"):
        find_checkpoint("default")


@pytest.mark.parametrize("name", ["none", "imagenet"])
def test_new_weights_have_no_card(root, name):
    with pytest.raises(UserError, match=f"^{name} stands for .* and has no card"):
        sr.load_encoder(name)


def test_a_default_that_is_not_there(root):
    (root / "default.txt").write_text("gone")
    with pytest.raises(UserError, match="names 'gone', which holds no"):
        find_checkpoint("default")


def test_default_from_python_takes_grey_and_rgb_arrays(shipped):
    grey = np.random.default_rng(0).integers(0, 256, (5, 40, 40), dtype=np.uint8)
    one, other = (
        sr.embed("default", grey, device="cpu"),
        sr.embed("default", grey[..., None].repeat(3, 3), device="cpu"),
    )
    assert one.vectors.shape == (5, 512)
    assert np.array_equal(one.vectors, other.vectors)
    assert sr.load_encoder("default").card.n_scans == 90


def test_what_ships_and_its_default_agree():
    """The real folder: with encoders one of them is the default, without there is none."""
    assert (default_checkpoint() is None) == (not shipped_checkpoints())
    assert default_checkpoint() in (None, *shipped_checkpoints())


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_an_encoder_that_ships_loads_and_says_what_it_is(name):
    directory = shipped_checkpoints()[name]
    encoder, card = load_encoder(name), read_card(directory)
    images = torch.rand(2, card.in_chans, card.input_size, card.input_size)
    with torch.inference_mode():
        features = encoder(images)
    assert torch.isfinite(features).all()
    assert features.std(dim=0).mean() > 0
    assert card.trained_on
    assert card.data_licence not in ("", "unknown")
    assert (directory / "README.md").is_file()
    assert sum(file.stat().st_size for file in directory.iterdir()) < 12e6


def test_a_card_of_an_earlier_version_still_reads(checkpoint):
    values = read_json(checkpoint / "encoder.json")
    new = ("weights_dtype", "trained_on", "training_command", "starts_from", "transfer")
    write_json(checkpoint / "encoder.json", {key: value for key, value in values.items() if key not in new})
    card = load_encoder(checkpoint).card
    assert (card.weights_dtype, card.trained_on, card.transfer) == ("float32", [], [])


@pytest.mark.parametrize(
    "change", [{"weights_dtype": "int8"}, {"trained_on": "chest"}, {"transfer": [1]}, {"n_scans": "many"}]
)
def test_an_impossible_optional_fact(checkpoint, change):
    write_json(checkpoint / "encoder.json", {**read_json(checkpoint / "encoder.json"), **change})
    with pytest.raises(UserError, match=f"impossible {next(iter(change))}"):
        load_encoder(checkpoint)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin"])
def test_a_pickle_is_refused_and_never_run(tmp_path, suffix):
    mark = tmp_path / "executed"

    class Trap:
        def __reduce__(self):
            return mark.write_text, ("x",)

    file = tmp_path / f"model{suffix}"
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(
        UserError, match=r"never loaded.*weights_only=True.*save_file.*encoder_file=.*model\.safetensors"
    ):
        sr.load_encoder(file)
    with pytest.raises(UserError, match="weights_only=True"):
        create_encoder("resnet10t", in_chans=3, input_size=32, mean=None, std=None, pretrained=file)
    write_json(tmp_path / "config.json", {"architecture": "resnet10t"})
    with pytest.raises(UserError, match=rf"holds model\{suffix}, a pickle.*as model.safetensors"):
        sr.load_encoder(tmp_path)
    assert not mark.exists()


def test_a_lonely_safetensors_file_needs_its_architecture(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"checkpoint=imagenet encoder=NAME encoder_file=.*x\.safetensors"):
        find_checkpoint(tmp_path / "x.safetensors")
