import numpy as np
import pandas as pd
import pytest
import torch

from ssl_robust.data.votes import from_columns
from ssl_robust.encoders import embeddings
from ssl_robust.encoders.embedding_files import read_embeddings, write_samples
from ssl_robust.encoders.embeddings import embed, encode_rows
from ssl_robust.run import UserError, write_json

CPU = torch.device("cpu")
OPTIONS = {"batch_size": 4, "device": "cpu", "precision": "fp32"}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(embeddings, "_SHARD_SCANS", 6)  # rounded up to whole batches: 8


def test_row_i_is_scan_i_whatever_the_batch(grey_encoder, grey_scans, small_shards, tmp_path):
    direct = grey_encoder(torch.from_numpy(grey_scans.pixels[..., 0].copy())[:, None]).detach().numpy()
    memory = embed(grey_encoder, grey_scans, **OPTIONS)
    written = embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)
    np.testing.assert_allclose(memory.vectors, direct, rtol=1e-4, atol=1e-5)
    assert np.array_equal(memory.vectors, written.vectors)
    assert written.vectors.dtype == np.float32
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "embeddings.json", "embeddings.npy", "pixels.npy", "samples.csv",
    ]  # fmt: skip


def test_what_was_written_is_read_again(grey_encoder, grey_scans, tmp_path):
    written = embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)
    write_json(tmp_path / "run.json", {"stage": "embed", "schema_version": 1})
    read = read_embeddings(tmp_path)
    assert np.array_equal(read.vectors, written.vectors)
    assert read.samples.equals(grey_scans.manifest.table)  # the class that is called "NA" included


def test_a_killed_run_continues_to_the_same_vectors(grey_encoder, grey_scans, small_shards, tmp_path, monkeypatch):
    whole = embed(grey_encoder, grey_scans, **OPTIONS)
    encoded, original = [], embeddings._encode

    def killed_in_the_second_shard(encoder, scans, rows, device):
        if rows[0] == 12:
            raise KeyboardInterrupt
        encoded.append(int(rows[0]))
        return original(encoder, scans, rows, device)

    monkeypatch.setattr(embeddings, "_encode", killed_in_the_second_shard)
    with pytest.raises(KeyboardInterrupt):
        embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)
    assert [file.name for file in (tmp_path / "shards").iterdir()] == ["00000.npy"]
    assert not (tmp_path / "embeddings.npy").exists()

    monkeypatch.setattr(embeddings, "_encode", lambda *args: encoded.append(int(args[2][0])) or original(*args))
    continued = embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)
    assert encoded == [0, 4, 8, 8, 12, 16]
    assert np.array_equal(continued.vectors, whole.vectors)
    assert np.array_equal(embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path).vectors, whole.vectors)
    assert len(encoded) == 6  # the finished run was only opened


def test_vectors_of_another_encoder_are_never_mixed_in(grey_encoder, grey_scans, tmp_path):
    embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)
    with torch.no_grad():
        next(grey_encoder.parameters())[0, 0, 0, 0] += 1.0
    with pytest.raises(UserError, match="another encoder"):
        embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)


def test_not_a_number_names_the_scan(grey_encoder, grey_scans, tmp_path):
    with torch.no_grad():
        next(grey_encoder.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match=r"4 scans, first scan-0;"):
        embed(grey_encoder, grey_scans, **OPTIONS, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_look_during_training_leaves_the_encoder_as_it_was(grey_encoder, grey_scans):
    grey_encoder.train()
    grey_encoder.autocast = torch.bfloat16
    rows = np.array([7, 3, 11])
    vectors = encode_rows(grey_encoder, grey_scans, rows, batch_size=2, device=CPU)
    assert grey_encoder.training
    assert grey_encoder.autocast is torch.bfloat16
    everything = encode_rows(grey_encoder, grey_scans, np.arange(20), batch_size=20, device=CPU)
    np.testing.assert_allclose(vectors, everything[rows], rtol=0.05, atol=0.05)
    assert encode_rows(grey_encoder, grey_scans, rows[:0], batch_size=2, device=CPU).shape == (0, grey_encoder.dim)


def test_columns_of_which_nothing_is_known_are_left_out(grey_scans, tmp_path):
    write_samples(grey_scans.manifest.table, tmp_path)
    header = (tmp_path / "samples.csv").read_text().splitlines()[0]
    assert header == "sample_id,path,label,patient_id,split"


def test_the_votes_of_readers_are_kept_beside_the_label(grey_scans, tmp_path):
    votes = pd.DataFrame({"=A": ["x", "", None, "NA"] * 5, "B": ["nan", "-1", "x", "y"] * 5}, dtype="string")
    votes = votes.mask(votes == "")
    write_samples(grey_scans.manifest.table, tmp_path, votes=votes)
    np.save(tmp_path / "embeddings.npy", np.eye(20, dtype=np.float32))
    write_json(tmp_path / "run.json", {"stage": "embed", "schema_version": 1})
    read = read_embeddings(tmp_path).samples
    pd.testing.assert_frame_equal(from_columns(read), votes)
    assert read.drop(columns=["vote_=A", "vote_B"]).equals(grey_scans.manifest.table)


def test_patients_are_numbered_as_they_are_used_for_grouping_only(grey_scans, tmp_path):
    table = grey_scans.manifest.table
    table["patient_id"] = pd.Series(["Mrs Smith", "Mr Jones", None, "Mrs Smith"] * 5, dtype="string")
    write_samples(table, tmp_path)
    written = pd.read_csv(tmp_path / "samples.csv", dtype=str)["patient_id"]
    assert written.fillna("").tolist() == ["0", "1", "", "0"] * 5
    assert table["patient_id"].iloc[0] == "Mrs Smith"
