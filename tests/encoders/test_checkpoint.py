import json
import pickle

import pytest
import timm
import torch

from ssl_robust.encoders.card import read_card
from ssl_robust.encoders.checkpoint import describe, find_checkpoint, load_encoder, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.run import UserError, read_json, write_json


def vectors_of(model, images):
    with torch.inference_mode():
        return model.eval()(images)


def test_what_was_saved_comes_back(checkpoint, grey_encoder):
    loaded = load_encoder(checkpoint)
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(vectors_of(loaded, images), vectors_of(grey_encoder, images))
    assert not loaded.training
    assert loaded.card == read_card(checkpoint)
    assert loaded.card.method == "simclr"


def test_timm_alone_reads_the_weights(checkpoint, grey_encoder):
    card = read_card(checkpoint)
    file = str(checkpoint / "encoder.safetensors")
    alone = timm.create_model(
        card.architecture, num_classes=0, in_chans=card.in_chans, checkpoint_path=file, **card.model_args
    )
    images = torch.rand(2, 1, 32, 32)
    expected = vectors_of(grey_encoder, images)
    torch.testing.assert_close(vectors_of(alone, (images - card.mean[0]) / card.std[0]), expected)


def test_timm_alone_reads_a_transformer(tmp_path):
    encoder = create_encoder("test_vit", in_chans=3, input_size=32, mean=[0.5] * 3, std=[0.2] * 3).eval()
    card = describe(encoder, resize="pad", method="dino", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, tmp_path, card=card)
    kept = read_card(tmp_path)
    file = str(tmp_path / "encoder.safetensors")
    alone = timm.create_model("test_vit", num_classes=0, in_chans=3, checkpoint_path=file, **kept.model_args)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(vectors_of(alone, (images - 0.5) / 0.2), vectors_of(encoder, images))
    torch.testing.assert_close(vectors_of(load_encoder(tmp_path), images), vectors_of(encoder, images))


def test_the_card_holds_what_the_design_lists_and_no_path(checkpoint):
    values = read_json(checkpoint / "encoder.json")
    assert {"architecture", "in_chans", "input_size", "mean", "std", "model_args", "scaling", "resize", "method",
            "epochs", "n_scans", "data_fingerprint", "data_licence", "version", "weights_dtype", "trained_on",
            "training_command", "starts_from", "transfer", "window"} == set(values)  # fmt: skip
    assert str(checkpoint.parent) not in json.dumps(values)


def test_the_file_itself_is_a_path_too(checkpoint):
    assert find_checkpoint(checkpoint / "encoder.safetensors") == checkpoint


def test_other_channels_name_the_fix(checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"data.channels=1$"):
        load_encoder(checkpoint, in_chans=3)
    encoder = create_encoder("resnet10t", in_chans=3, input_size=32, mean=[0.5] * 3, std=[0.2] * 3)
    card = describe(encoder, resize="pad", method="byol", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, tmp_path / "rgb", card=card)
    with pytest.raises(UserError, match=r"data.channels=3$"):
        load_encoder(tmp_path / "rgb", in_chans=1)


def test_weights_of_another_architecture(checkpoint):
    card = read_json(checkpoint / "encoder.json")
    for change, what in (({"architecture": "resnet14t"}, "resnet14t"), ({"in_chans": 3, "mean": [0.5] * 3,
                                                                        "std": [0.5] * 3}, "conv1")):  # fmt: skip
        write_json(checkpoint / "encoder.json", {**card, **change})
        with pytest.raises(UserError, match=what):
            load_encoder(checkpoint)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"mean": [0.1, 0.2]}, "mean"), ({"std": [0.0]}, "std"), ({"in_chans": "one"}, "in_chans"),
     ({"mean": [None]}, "mean"), ({"input_size": 0}, "input_size"), ({"architecture": None}, "architecture")],
)  # fmt: skip
def test_an_impossible_card(checkpoint, change, what):
    write_json(checkpoint / "encoder.json", {**read_json(checkpoint / "encoder.json"), **change})
    with pytest.raises(UserError, match=what):
        load_encoder(checkpoint)


def test_a_card_cannot_fetch_or_open_other_weights(checkpoint):
    card = read_json(checkpoint / "encoder.json")
    write_json(checkpoint / "encoder.json", {**card, "model_args": {"checkpoint_path": "w.pth"}})
    with pytest.raises(UserError, match="the card of the checkpoint, holds checkpoint_path"):
        load_encoder(checkpoint)


def test_a_missing_or_broken_card(checkpoint):
    card = checkpoint / "encoder.json"
    card.write_text('{"architecture": "resnet10t"}')
    with pytest.raises(UserError, match="lacks data_fingerprint"):
        load_encoder(checkpoint)
    card.write_text("[1, 2]")
    with pytest.raises(UserError, match="is not a JSON object"):
        load_encoder(checkpoint)
    card.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        load_encoder(checkpoint)
    card.unlink()
    with pytest.raises(UserError, match="the card must lie beside"):
        load_encoder(checkpoint)


def test_a_pickle_is_never_opened(checkpoint, tmp_path):
    mark = tmp_path / "executed"

    class Trap:
        def __reduce__(self):
            return mark.write_text, ("x",)

    (checkpoint / "encoder.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match="cannot be read"):
        load_encoder(checkpoint)
    assert not mark.exists()


def test_a_path_that_holds_no_encoder(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no encoder.safetensors"):
        load_encoder(tmp_path)
    write_json(tmp_path / "run.json", {"stage": "finetune"})
    with pytest.raises(UserError, match="holds a run of the stage finetune"):
        load_encoder(tmp_path)
    with pytest.raises(UserError, match="did you mean imagenet"):
        load_encoder("imagnet")


def test_a_shipped_checkpoint_is_found_by_its_name(checkpoint, monkeypatch):
    monkeypatch.setattr("ssl_robust.encoders.places.shipped_checkpoints", lambda: {"chest": checkpoint})
    assert load_encoder("chest").name == "resnet10t"
    with pytest.raises(UserError, match="did you mean chest"):
        load_encoder("chets")
