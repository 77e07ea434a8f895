"""Encoders from elsewhere: folders in timm's hub format and the hub itself, which no test asks."""

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from ssl_robust.encoders import hub
from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.encoders.hub import from_hub
from ssl_robust.encoders.places import card_of
from ssl_robust.run import UserError, read_json, write_json

SIZE = 48
CFG = {"input_size": [3, SIZE, SIZE], "mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.1], "num_classes": 7,
       "license": "cc-by-4.0"}  # fmt: skip


@pytest.fixture
def publish(tmp_path):
    """A timm model -> its folder as timm publishes it, classifier included."""

    def write(name, folder=None, model_args=None, **changes):
        torch.manual_seed(1)
        folder = folder or tmp_path / "published"
        folder.mkdir(parents=True, exist_ok=True)
        model = timm.create_model(name, num_classes=7, **(model_args or {})).eval()
        save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
        config = {"architecture": name, "num_classes": 7, "pretrained_cfg": {**CFG, **changes}}
        write_json(folder / "config.json", config | ({"model_args": model_args} if model_args else {}))
        return folder, model

    return write


@pytest.mark.parametrize(("name", "model_args"), [("resnet10t", {}), ("test_vit", {"img_size": SIZE})])
def test_a_folder_brings_weights_size_and_normalisation(publish, name, model_args):
    folder, model = publish(name, model_args=model_args)
    encoder = load_encoder(folder)
    assert (encoder.input_size, encoder.in_chans, encoder.mean, encoder.std) == (SIZE, 3, CFG["mean"], CFG["std"])
    assert (encoder.card.method, encoder.card.data_licence) == ("elsewhere", "unknown (of the weights: cc-by-4.0)")
    assert encoder.card.model_args == encoder.model_args
    images = torch.rand(2, 3, SIZE, SIZE)
    mean, std = (torch.tensor(CFG[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features((images - mean) / std), pre_logits=True)
        torch.testing.assert_close(encoder(images), expected)


def test_the_older_form_of_the_configuration(publish):
    folder, _ = publish("resnet10t")
    nested = read_json(folder / "config.json")
    new = load_encoder(folder)
    write_json(folder / "config.json", {**nested["pretrained_cfg"], "architecture": "resnet10t"})
    old = load_encoder(folder)
    assert (old.mean, old.input_size) == (new.mean, new.input_size)
    assert torch.equal(next(old.parameters()), next(new.parameters()))


@pytest.mark.parametrize("stranger", [{"checkpoint_path": "w.pth"}, {"pretrained": True}])
def test_a_configuration_cannot_fetch_or_open_other_weights(publish, monkeypatch, stranger):
    folder, _ = publish("resnet10t")
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "model_args": stranger})
    monkeypatch.setattr("timm.create_model", lambda *_, **__: pytest.fail("asked timm"))
    with pytest.raises(UserError, match=f"holds {next(iter(stranger))} for resnet10t, which would take weights from"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"architecture": None, "pretrained_cfg": CFG}, "impossible architecture"),
        ({"model_type": "dinov2"}, "not in timm's format .*choose the timm version"),
        (
            {"architecture": "resnet10t", "pretrained_cfg": {**CFG, "input_size": [3, 40, 48]}},
            "encoders here take squares",
        ),
        ({"architecture": "resnet10t", "pretrained_cfg": {**CFG, "mean": [0.5]}}, "impossible mean"),
        ({"architecture": "resnet10t", "pretrained_cfg": {}}, "input_size None"),
        ({"architecture": "resnet10t", "pretrained_cfg": None}, "are no JSON objects"),
        ({"architecture": "resnet10t", "pretrained_cfg": CFG, "model_args": [1]}, "are no JSON objects"),
        ({"architecture": "resnet14t", "pretrained_cfg": CFG}, "does not hold timm's resnet14t"),
        ({"architecture": "resnet10x", "pretrained_cfg": CFG}, "not a timm model; did you mean"),
    ],
)
def test_configurations_that_do_not_fit(publish, change, sentence):
    folder, _ = publish("resnet10t")
    write_json(folder / "config.json", change)
    with pytest.raises(UserError, match=sentence):
        load_encoder(folder)


def test_a_folder_without_weights(publish):
    folder, _ = publish("resnet10t")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds config.json and no model.safetensors"):
        load_encoder(folder)


@pytest.fixture
def cached(publish, tmp_path, monkeypatch):
    """`hf-hub:lab/net` in the hub's own cache; whoever asks the network fails."""
    repo = tmp_path / "hub" / "models--lab--net"
    publish("resnet10t", repo / "snapshots" / "abc123")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "_answers", lambda _: pytest.fail("asked the network"))
    return repo


def test_a_name_of_the_hub_comes_from_its_cache(cached):
    assert from_hub("hf-hub:lab/net") == cached / "snapshots" / "abc123"
    assert from_hub("hf-hub:lab/net@abc123") == cached / "snapshots" / "abc123"
    assert load_encoder("hf-hub:lab/net").card == card_of("hf-hub:lab/net")


def test_what_is_missing_is_fetched_of_the_same_snapshot(cached, monkeypatch):
    file = cached / "snapshots" / "abc123" / "model.safetensors"
    content = file.read_bytes()
    file.unlink()
    asked = []

    def download(repo, name, revision):
        asked.append((repo, name, revision))
        file.write_bytes(content)
        return str(file)

    monkeypatch.setattr(hub, "_answers", lambda _: True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert load_encoder("hf-hub:lab/net").name == "resnet10t"
    assert asked == [("lab/net", "model.safetensors", "abc123")]


def test_without_a_network_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_answers", lambda _: False)
    with pytest.raises(UserError, match=r"the files of hf-hub:lab/net are not on this machine.*checkpoint=FOLDER"):
        load_encoder("hf-hub:lab/net")


@pytest.mark.parametrize("name", ["hf-hub:net", "hf-hub:", "hf-hub:a/b/c", "hf-hub:../x y", "hf-hub:a/b@../x"])
def test_a_name_that_is_none(name):
    with pytest.raises(UserError, match="is no name of the hub; expected hf-hub:ORG/NAME"):
        from_hub(name)


@pytest.mark.parametrize("name", ["hf-hub:../x", "hf-hub:-a/b", "hf-hub:a/.."])
def test_a_name_that_the_hub_cannot_have(name):
    with pytest.raises(UserError, match="is no name that the hub can have"):
        from_hub(name)


@pytest.mark.parametrize("name", ["hf_hub:lab/net", "huggingface:lab/net"])
def test_other_spellings_are_told(name):
    with pytest.raises(UserError, match="did you mean hf-hub:ORG/NAME"):
        load_encoder(name)


def test_the_facts_reach_run_json(publish, tmp_path):
    import numpy as np

    from ssl_robust.encoders.stage import embed_stage
    from ssl_robust.run import read_run
    from ssl_robust.settings import compose

    folder, _ = publish("resnet10t")
    np.savez(tmp_path / "s.npz", **{f"{split}_images": np.zeros((2, 20, 20), np.uint8) for split in ("train", "test")},
             **{f"{split}_labels": np.zeros((2, 1), np.uint8) for split in ("train", "test")})  # fmt: skip
    out = embed_stage(compose("embed", ["data=npz", f"data.path='{tmp_path / 's.npz'}'", f"checkpoint='{folder}'",
                                        f"out='{tmp_path / 'out'}'", "device=cpu"]))  # fmt: skip
    noted = read_run(out)["encoder"]
    assert (noted["input_size"], noted["mean"], noted["method"]) == (SIZE, CFG["mean"], "elsewhere")
    assert str(tmp_path) not in json.dumps(noted)


@pytest.mark.parametrize("name", ["resnet10t", "test_vit"])
def test_what_timm_itself_writes(tmp_path, name):
    torch.manual_seed(1)
    model = timm.create_model(name, in_chans=1).eval()
    timm.models.save_for_hf(model, tmp_path / "by-timm", safe_serialization=True)
    encoder = load_encoder(tmp_path / "by-timm")
    assert encoder.in_chans == 1
    side = encoder.input_size
    images = torch.rand(2, 1, side, side)
    with torch.inference_mode():
        values = (images - encoder.mean_buffer) / encoder.std_buffer
        expected = model.forward_head(model.forward_features(values), pre_logits=True)
        torch.testing.assert_close(encoder(images), expected)
