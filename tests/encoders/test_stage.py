import sys

import numpy as np
import pandas as pd
import pytest
import torch

from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.embedding_files import read_embeddings
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.encoders.resolve import open_encoder_and_scans
from ssl_robust.encoders.stage import embed_stage
from ssl_robust.run import UserError, read_run
from ssl_robust.settings import compose


@pytest.fixture
def npz(tmp_path):
    random = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 6), ("val", 2), ("test", 3)):
        arrays[f"{split}_images"] = random.integers(0, 256, (n, 40, 40), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(n, dtype=np.uint8)[:, None] % 2
    np.savez(tmp_path / "scans.npz", **arrays)
    return tmp_path / "scans.npz"


@pytest.fixture
def configure(npz, tmp_path):
    def build(*overrides):
        fixed = ["data=npz", f"data.path={npz}", f"data.cache_dir={tmp_path / 'cache'}", f"out={tmp_path / 'out'}"]
        return compose("embed", [*fixed, "batch_size=4", "device=cpu", "precision=fp32", *overrides])

    return build


def test_embeddings_follow_the_manifest(configure, checkpoint, npz):
    out = embed_stage(configure(f"checkpoint={checkpoint}"))
    emb = read_embeddings(out)
    assert emb.vectors.shape == (11, 512)
    assert emb.samples["sample_id"].tolist() == [
        f"{split}/{row}" for split, n in (("train", 6), ("val", 2), ("test", 3)) for row in range(n)
    ]
    run = read_run(out, stage="embed")
    assert run["finished"]
    assert run["n_scans"] == 11
    table = pd.read_csv(out / "samples.csv")
    assert table["label"].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]


def test_the_card_decides_size_and_channels(configure, checkpoint):
    encoder, scans = open_encoder_and_scans(configure(f"checkpoint={checkpoint}"))
    assert (scans.image_size, scans.channels) == (encoder.input_size, encoder.in_chans) == (32, 1)


def test_the_card_decides_how_scans_reach_their_size(configure, grey_encoder, tmp_path, capsys):
    card = describe(
        grey_encoder, resize="squash", method="x", epochs=1, n_scans=9, data_fingerprint="", data_licence=""
    )
    save_encoder(grey_encoder, tmp_path / "squashed", card=card)
    assert open_encoder_and_scans(configure(f"checkpoint={tmp_path / 'squashed'}"))[1].resize == "squash"
    assert open_encoder_and_scans(configure("checkpoint=none", "encoder=resnet10t"))[1].resize == "pad"
    assert capsys.readouterr().err.count("resized") == 0


def test_explicit_channels_that_do_not_fit_name_the_fix(configure, checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"set data.channels=1$"):
        embed_stage(configure(f"checkpoint={checkpoint}", "data.channels=3"))
    assert not (tmp_path / "out").exists()


def test_grey_scans_reach_an_rgb_encoder(configure, tmp_path):
    encoder = create_encoder("resnet10t", in_chans=3, input_size=32, mean=[0.5] * 3, std=[0.2] * 3)
    card = describe(encoder, resize="pad", method="byol", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, tmp_path / "rgb", card=card)
    _, scans = open_encoder_and_scans(configure(f"checkpoint={tmp_path / 'rgb'}"))
    assert scans.channels == 3


def test_a_random_encoder_follows_from_the_seed_and_the_training_scans(configure):
    torch.manual_seed(99)
    one, scans = open_encoder_and_scans(configure("checkpoint=none", "encoder=resnet10t"))
    torch.manual_seed(7)
    other, _ = open_encoder_and_scans(configure("checkpoint=none", "encoder=resnet10t"))
    third, _ = open_encoder_and_scans(configure("checkpoint=none", "encoder=resnet10t", "seed=1"))
    weights = [next(encoder.parameters()) for encoder in (one, other, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert (one.mean, one.std) == scans.statistics(scans.manifest.rows("train"))
    assert one.input_size == 40


def test_another_way_of_resizing_is_said(configure, checkpoint, capsys):
    open_encoder_and_scans(configure(f"checkpoint={checkpoint}", "data.resize=squash"))
    assert "data.resize=auto takes what it learned from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [(["checkpoint=null"], "checkpoint= is empty"), (["checkpoint=none", "encoder=resnet81"], "not a timm model"),
     (["checkpoint=none", "encoder_file=x"], "with checkpoint=imagenet only"),
     (["checkpoint=nowhere"], "does not exist"), (["checkpoint=none", "batch_size=0"], "batch_size=0"),
     (["checkpoint=none", "device=tpu"], "device=tpu"),
     (["checkpoint=none", "precision=half"], "precision=half")],
)  # fmt: skip
def test_a_mistake_leaves_nothing_behind(configure, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        embed_stage(configure(*overrides))
    assert not (tmp_path / "out").exists()


def test_resume_and_overwrite(configure, checkpoint):
    first = read_embeddings(embed_stage(configure(f"checkpoint={checkpoint}"))).vectors
    with pytest.raises(UserError, match="already holds a finished embed run"):
        embed_stage(configure(f"checkpoint={checkpoint}"))
    assert np.array_equal(
        read_embeddings(embed_stage(configure(f"checkpoint={checkpoint}", "resume=true"))).vectors, first
    )
    with pytest.raises(UserError, match="cannot resume .*: checkpoint was .* and is now none"):
        embed_stage(configure("checkpoint=none", "encoder=resnet10t", "resume=true"))
    other = read_embeddings(embed_stage(configure("checkpoint=none", "encoder=resnet10t", "overwrite=true"))).vectors
    assert not np.array_equal(other, first)


def test_the_bar_stays_away_from_a_file(configure, checkpoint, capsys):
    assert not sys.stderr.isatty()
    embed_stage(configure(f"checkpoint={checkpoint}"))
    captured = capsys.readouterr()
    assert "11 scans -> 512 numbers each" in captured.out
    assert "\r" not in captured.err


def test_reuse_takes_vectors_over(configure, checkpoint, tmp_path, capsys):
    first = read_embeddings(embed_stage(configure(f"checkpoint={checkpoint}"))).vectors
    again = [f"checkpoint={checkpoint}", f"out={tmp_path / 'new'}"]
    second = embed_stage(configure(*again, f"reuse={tmp_path / 'out'}"))
    assert np.array_equal(read_embeddings(second).vectors, first)
    assert "Took 11 vectors over" in capsys.readouterr().out
    assert embed_stage(configure(*again, "resume=true")) == second  # finished, whatever it was begun with
    with pytest.raises(UserError, match=r"reuse=.* does not exist; give the path of a folder \(there is a out beside"):
        embed_stage(configure(*again, f"reuse={tmp_path / 'outt'}", "overwrite=true"))
    with pytest.raises(UserError, match=r"reuse=.* lies in out=.*, which overwrite=true would replace"):
        embed_stage(configure(*again, f"reuse={tmp_path / 'new'}", "overwrite=true"))
    with pytest.raises(UserError, match="holds no run"):
        embed_stage(configure(f"checkpoint={checkpoint}", f"out={tmp_path / 'x'}", f"reuse={checkpoint}"))
    assert not (tmp_path / "x").exists()
