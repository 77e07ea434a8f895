import time

import pytest
import timm
import torch
from safetensors.torch import save_file

from ssl_robust.encoders import hub
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.run import UserError


@pytest.fixture
def rgb_file(tmp_path):
    """RGB weights with a classifier, as timm publishes them."""
    torch.manual_seed(1)
    model = timm.create_model("resnet10t").eval()
    path = tmp_path / "resnet10t.safetensors"
    save_file(model.state_dict(), path, metadata={"format": "pt"})
    return path, model


def from_file(path, name="resnet10t", in_chans=3):
    return create_encoder(name, in_chans=in_chans, input_size=64, mean=None, std=None, pretrained=path).eval()


def test_weights_and_normalisation_come_from_timm(rgb_file):
    path, model = rgb_file
    encoder = from_file(path)
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (encoder.mean, encoder.std))
    assert encoder.mean == list(timm.get_pretrained_cfg("resnet10t").mean)
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features((images - mean) / std), pre_logits=True)
        torch.testing.assert_close(encoder(images), expected)


def test_a_grey_scan_gives_what_the_same_scan_in_rgb_gives(rgb_file):
    rgb, grey = from_file(rgb_file[0]), from_file(rgb_file[0], in_chans=1)
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        one, other = grey(images), rgb(images.expand(-1, 3, -1, -1))
    assert torch.nn.functional.cosine_similarity(one, other).min() > 0.95


def test_a_file_of_another_architecture_is_refused(rgb_file, tmp_path):
    with pytest.raises(UserError, match="does not hold timm's resnet14t"):
        from_file(rgb_file[0], name="resnet14t")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        from_file(tmp_path / "broken.safetensors")
    with pytest.raises(UserError, match=r"not a .safetensors file"):
        (tmp_path / "weights.pth").write_bytes(b"nothing")
        from_file(tmp_path / "weights.pth")
    with pytest.raises(UserError, match="does not exist"):
        from_file(tmp_path / "nowhere.safetensors")


def test_without_a_network_one_sentence_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be reached; connect once, or copy .* encoder_file="):
        create_encoder("resnet10t", in_chans=3, input_size=64, mean=None, std=None, pretrained=True)
    assert time.monotonic() - start < 2 * hub._CONNECT_SECONDS


def test_weights_in_the_cache_need_no_network(monkeypatch, rgb_file):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: str(rgb_file[0]))
    monkeypatch.setattr(hub, "_answers", lambda _: pytest.fail("asked the network"))
    encoder = create_encoder("resnet10t", in_chans=3, input_size=64, mean=None, std=None, pretrained=True)
    assert torch.equal(next(encoder.timm.parameters()), next(rgb_file[1].parameters()))


def test_an_architecture_without_weights():
    with pytest.raises(UserError, match="no weights on the hub"):
        create_encoder("botnet50ts_256", in_chans=3, input_size=64, mean=None,
                       std=None, pretrained=True)  # fmt: skip
