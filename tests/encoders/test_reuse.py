"""A set that has grown is encoded where it is new, and its vectors come out as if all had been encoded at once."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.sources import ArraySource
from ssl_robust.encoders import embeddings
from ssl_robust.encoders.embeddings import embed
from ssl_robust.run import UserError, write_json

OPTIONS = {"batch_size": 4, "device": "cpu", "precision": "fp32"}


@pytest.fixture
def encoded(monkeypatch):
    """Rows that were encoded, as they come."""
    rows, original = [], embeddings._encode
    monkeypatch.setattr(embeddings, "_encode", lambda *given: rows.extend(given[2].tolist()) or original(*given))
    return rows


@pytest.fixture
def run(grey_encoder, tmp_path, encoded):
    """Embed scans into a run directory."""

    def make(scans, name, encoder=grey_encoder, **options):
        encoded.clear()
        emb = embed(encoder, scans, **OPTIONS | options, out=tmp_path / name)
        write_json(tmp_path / name / "run.json", {"stage": "embed", "schema_version": 1})
        return np.array(emb.vectors)

    return make


def some(scans, rows):
    """The scans of some rows, as a set of its own."""
    rows = np.asarray(rows)
    pixels = scans.pixels[rows]
    manifest = scans.manifest.take(rows)
    return ScanSet(replace(manifest, source=ArraySource(pixels[..., 0], f"{rows}")), pixels, "pad")


def test_a_grown_set_is_encoded_where_it_is_new(run, grey_scans, tmp_path, encoded, capsys):
    run(some(grey_scans, range(3, 13)), "old")
    whole = run(grey_scans, "fresh")
    grown = run(grey_scans, "grown", reuse=tmp_path / "old")
    assert encoded == [0, 1, 2, *range(13, 20)]
    np.testing.assert_allclose(grown, whole, atol=1e-5, rtol=0)
    assert f"Took 10 vectors over from {tmp_path / 'old'}, 10 scans are encoded" in capsys.readouterr().out
    assert json.loads((tmp_path / "grown" / "embeddings.json").read_text())["taken_over"] == 10
    again = run(grey_scans, "again", reuse=tmp_path / "grown")  # what was taken over is taken over once more
    assert encoded == []
    assert np.array_equal(again, grown)


def test_whole_batches_are_the_same_bytes(run, grey_scans, tmp_path):
    whole = run(grey_scans, "fresh")
    run(some(grey_scans, range(8)), "old")
    assert np.array_equal(run(grey_scans, "grown", reuse=tmp_path / "old"), whole)


def test_changed_removed_and_moved_scans(run, grey_scans, tmp_path, encoded):
    old = run(grey_scans, "old")
    pixels = grey_scans.pixels.copy()
    pixels[5, 3, 3] ^= 1
    changed = replace(grey_scans, pixels=pixels)
    rows = [7, 5, 0, 19]  # in another order, and without the others
    vectors = run(some(changed, rows), "new", reuse=tmp_path / "old")
    assert encoded == [1]
    assert np.array_equal(vectors[[0, 2, 3]], old[[7, 0, 19]])
    assert not np.array_equal(vectors[1], old[5])
    np.testing.assert_allclose(vectors, run(some(changed, rows), "fresh"), atol=1e-5, rtol=0)


def test_a_deep_scan_among_them_changes_no_other(run, grey_scans, tmp_path, encoded):
    old = run(grey_scans, "old")
    deep = replace(grey_scans, pixels=grey_scans.pixels.astype(np.uint16) * np.uint16(257))
    assert np.array_equal(run(deep, "deep", reuse=tmp_path / "old"), old)
    assert encoded == []


@pytest.mark.parametrize("what", ["encoder", "precision", "version of timm", "older"])
def test_other_vectors_are_never_mixed_in(run, grey_scans, grey_encoder, tmp_path, encoded, capsys, what):
    run(grey_scans, "old")
    about = tmp_path / "old" / "embeddings.json"
    expected, options = f"made with another {what}", {}
    if what == "encoder":
        with torch.no_grad():
            next(grey_encoder.parameters())[0, 0, 0, 0] += 1.0
    elif what == "precision":
        options["precision"] = "bf16"
    elif what == "version of timm":
        write_json(about, json.loads(about.read_text()) | {what: "0.1"})
    else:
        write_json(about, {"fingerprint": "abc"})
        expected = "made by an older ssl-robust"
    run(grey_scans, "new", reuse=tmp_path / "old", **options)
    assert encoded == list(range(20))
    said = capsys.readouterr().out
    assert "Nothing is taken over" in said
    assert expected in said


def test_a_killed_run_continues_with_the_same_ones_taken_over(run, grey_scans, tmp_path, monkeypatch, encoded):
    monkeypatch.setattr(embeddings, "_SHARD_SCANS", 4)
    run(some(grey_scans, range(0, 20, 2)), "old")
    whole = run(grey_scans, "whole", reuse=tmp_path / "old")
    original = embeddings._encode

    def killed(encoder, scans, rows, device):
        if rows[0] == 9:
            raise KeyboardInterrupt
        return original(encoder, scans, rows, device)

    monkeypatch.setattr(embeddings, "_encode", killed)
    with pytest.raises(KeyboardInterrupt):
        run(grey_scans, "killed", reuse=tmp_path / "old")
    monkeypatch.setattr(embeddings, "_encode", original)
    with pytest.raises(UserError, match="other scans, of another encoder or of other options"):
        run(grey_scans, "killed")
    assert np.array_equal(run(grey_scans, "killed", reuse=tmp_path / "old"), whole)
    assert encoded == [9, 11, 13, 15, 17, 19]


@pytest.mark.parametrize("harm", [lambda file: file.write_bytes(b""), lambda file: np.save(file, np.arange(3)),
                                  lambda file: file.unlink()])  # fmt: skip
def test_a_damaged_run_is_refused(run, grey_scans, tmp_path, harm):
    run(grey_scans, "old")
    harm(tmp_path / "old" / "pixels.npy")
    with pytest.raises(UserError, match="is damaged: its embeddings.npy and pixels.npy do not fit; leave reuse= out"):
        run(grey_scans, "new", reuse=tmp_path / "old")
