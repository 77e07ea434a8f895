"""Pretraining that goes on from an encoder."""

import numpy as np
import pytest
import torch

from ssl_robust.encoders.checkpoint import describe, load_encoder, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.encoders.fingerprints import SEEN
from ssl_robust.pretrain.stage import pretrain
from ssl_robust.run import UserError, read_json


@pytest.fixture
def start(tmp_path, monkeypatch):
    """An RGB encoder of 24 px that ships as the default and has seen three scans."""
    torch.manual_seed(3)
    encoder = create_encoder("resnet10t", in_chans=3, input_size=24, mean=[0.4] * 3, std=[0.3] * 3)
    card = describe(
        encoder, resize="squash", method="vicreg", epochs=2, n_scans=3, data_fingerprint="", data_licence="CC0"
    )
    save_encoder(encoder, tmp_path / "ships" / "tiny", card=card)
    np.save(tmp_path / "ships" / "tiny" / SEEN, np.array([1, 2, 3], np.uint64))
    (tmp_path / "ships" / "default.txt").write_text("tiny")
    monkeypatch.setattr("ssl_robust.encoders.places.shipped_root", lambda: tmp_path / "ships")
    return encoder


@pytest.fixture
def going_on(config):
    def build(*more):
        made = config("trainer.max_epochs=1", "optim.lr=1e-12", "checkpoint=default", *more)
        made.encoder = "unread"
        return made

    return build


def test_it_begins_with_the_weights_size_and_normalisation_of_the_card(going_on, start):
    out = pretrain(going_on())
    encoder = load_encoder(out)
    # At this rate weights stay what they were.
    for key, value in start.timm.named_parameters():
        torch.testing.assert_close(encoder.timm.get_parameter(key), value)
    card = encoder.card
    assert (card.input_size, card.in_chans, card.mean, card.std, card.resize) == (24, 3, [0.4] * 3, [0.3] * 3, "squash")
    assert (card.method, card.epochs, card.n_scans) == ("simclr", 1, 40)
    assert card.starts_from == "resnet10t for RGB scans of 24 px; vicreg on 3 scans, licence of the scans: CC0"
    assert {1, 2, 3} < set(np.load(out / SEEN).tolist())
    assert len(np.load(out / SEEN)) == 43


def test_another_size_is_the_users(going_on, start):
    assert load_encoder(pretrain(going_on("data.image_size=32"))).card.input_size == 32


def test_a_transformer_goes_on_at_another_size_and_says_so(config, tmp_path):
    options = ["encoder=test_vit", "+encoder_args.patch_size=8", "trainer.max_epochs=1"]
    first = pretrain(config(*options))
    other = f"out='{tmp_path / 'other'}'"
    going = ["trainer.max_epochs=1", f"checkpoint='{first}'", "data.image_size=48", other]
    encoder = load_encoder(pretrain(config(*going)))
    assert (encoder.card.input_size, encoder.card.model_args["img_size"]) == (48, 32)
    with torch.no_grad():
        assert encoder.feature_map(torch.rand(1, 1, 48, 48)).shape[-2:] == (6, 6)
    with pytest.raises(
        UserError, match="method=mae cannot change the size of encoder=test_vit; take data.image_size=32"
    ):
        pretrain(config(*going, "method=mae", "overwrite=true"))


def test_it_is_resumed_from_the_same_encoder_alone(going_on, start, tmp_path):
    out = pretrain(going_on())
    assert read_json(out / "run.json")["encoder_fingerprint"] != "none"
    with torch.no_grad():
        next(start.timm.parameters()).add_(1)
    save_encoder(start, tmp_path / "ships" / "tiny", card=load_encoder("default").card)
    with pytest.raises(UserError, match="checkpoint=default is another encoder than before"):
        pretrain(going_on("resume=true"))


def test_new_weights_say_that_they_are(config):
    out = pretrain(config("trainer.max_epochs=1"))
    assert load_encoder(out).card.starts_from == ""
    assert read_json(out / "run.json")["encoder_fingerprint"] == "none"


def test_a_start_that_is_not_there(config, tmp_path):
    with pytest.raises(UserError, match="did you mean default"):
        pretrain(config("checkpoint=defualt"))
    assert not (tmp_path / "run").exists()
