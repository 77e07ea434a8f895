"""Checkpoints of strangers: whatever card and weights say, one sentence, no network, no program, no endless work."""

import json
import socket
import struct

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.encoders.fingerprints import _read_seen
from ssl_robust.run import UserError, read_json, write_json


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def changed(checkpoint, **values):
    card = read_json(checkpoint / "encoder.json")
    (checkpoint / "encoder.json").write_text(json.dumps({**card, **values}))
    return checkpoint


@pytest.mark.parametrize(
    "name",
    ["hf-hub:timm/resnet10t.c3_in1k", "hf_hub:timm/resnet10t", "local-dir:/tmp", "/etc/passwd", "../resnet10t", "",
     "resnet10t.hf-hub:timm/resnet10t", "resnet10t.unheard_of", "os.system", "resnet10t\n"],
)  # fmt: skip
def test_an_architecture_is_a_name_of_timm_and_nothing_else(checkpoint, name):
    with pytest.raises(UserError, match=r"is not a timm model|is a timm model with an unknown tag"):
        load_encoder(changed(checkpoint, architecture=name))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pretrained": True}, "holds pretrained for resnet10t"),
        ({"checkpoint_path": "/etc/passwd"}, "holds checkpoint_path"),
        ({"pretrained_cfg": {"url": "http://x"}}, "holds pretrained_cfg"),
        ({"pretrained_cfg_overlay": {"file": "x"}}, "holds pretrained_cfg_overlay"),
        ({"cache_dir": "/tmp"}, "holds cache_dir"),
        ({"layers": [10**9, 1, 1, 1]}, "impossible model_args"),
        ({"stem_width": 1e30}, "impossible model_args"),
        ({"act_layer": "os.system"}, "cannot be built"),
        ({"num_classes": 5}, "cannot be built"),
        ({"features_only": True}, "cannot be built|no single vector"),
        ({"block": "os.system"}, "cannot be built"),
    ],
)
def test_arguments_that_would_do_harm(checkpoint, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        load_encoder(changed(checkpoint, model_args=arguments))


@pytest.mark.parametrize(
    "fact",
    [{"input_size": 10**6}, {"in_chans": 10**9}, {"mean": [float("nan")]}, {"std": [float("inf")]}, {"std": [-1.0]},
     {"model_args": [1]}, {"architecture": ["resnet10t"]}],
)  # fmt: skip
def test_impossible_facts(checkpoint, fact):
    with pytest.raises(UserError, match=f"impossible {next(iter(fact))}|impossible mean"):
        load_encoder(changed(checkpoint, **fact))


def safetensors(header, body=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**31) + b"{}",
        safetensors({"conv1.weight": {"dtype": "F32", "shape": [10**12, 10**6], "data_offsets": [0, 4]}}, bytes(4)),
        safetensors({"conv1.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**62]}}, bytes(4)),
        safetensors({"conv1.weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        b"\x80\x04cos\nsystem\n",
    ],
    ids=["empty", "header of exabytes", "header of gigabytes", "shape", "offsets", "negative", "deep", "pickle"],
)
def test_weights_that_claim_what_they_do_not_hold(checkpoint, content):
    (checkpoint / "encoder.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"encoder\.safetensors cannot be read \(.*\); copy it again"):
        load_encoder(checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(checkpoint, value):
    weights = load_file(checkpoint / "encoder.safetensors")
    weights["bn1.running_var"] = weights["bn1.running_var"].clone().fill_(value)
    save_file(weights, checkpoint / "encoder.safetensors")
    with pytest.raises(UserError, match=r"hold NaN or infinity \(bn1\.running_var\); copy them again"):
        load_encoder(checkpoint)


def test_a_hub_folder_names_no_other_place(tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model("resnet10t", num_classes=0).state_dict(), tmp_path / "model.safetensors")
    cfg = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.2] * 3, "num_classes": 0}
    other = {"url": "http://localhost/x", "hf_hub_id": "a/b", "file": "/etc/passwd", "custom_load": True}
    write_json(tmp_path / "config.json", {"architecture": "resnet10t", "pretrained_cfg": {**cfg, **other}})
    assert load_encoder(tmp_path).card.method == "elsewhere"
    write_json(tmp_path / "config.json", {"architecture": "hf-hub:timm/resnet10t", "pretrained_cfg": cfg})
    with pytest.raises(UserError, match="not a timm model"):
        load_encoder(tmp_path)


def test_a_list_of_scans_that_is_none(tmp_path):
    path = tmp_path / "scans.npy"
    arrays = [np.zeros(3), np.zeros((2, 2), np.uint64), np.array([{}], dtype=object)]
    for array in arrays:
        np.save(path, array)
        with pytest.raises(UserError, match=r"scans\.npy holds no list of scans; copy it"):
            _read_seen(path)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<u8", "fortran_order": False, "shape": (10**15,)})
    with pytest.raises(UserError, match="holds no list of scans"):
        _read_seen(path)
    np.save(path, np.arange(3, dtype=np.uint64))
    assert _read_seen(path).tolist() == [0, 1, 2]
