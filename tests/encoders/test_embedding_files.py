import subprocess
import sys

import numpy as np
import pytest

from ssl_robust.encoders.embedding_files import read_embeddings
from ssl_robust.run import UserError, write_json


@pytest.fixture
def files(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.save(tmp_path / "E.npy", vectors)
    (tmp_path / "L.csv").write_text("label,patient_id\nNA,p1\nnevus,p1\n,p2\n")
    return tmp_path / "E.npy", tmp_path / "L.csv", vectors


def test_row_i_of_the_labels_belongs_to_vector_i(files):
    emb = read_embeddings(files[0], files[1])
    assert np.array_equal(emb.vectors, files[2])
    assert emb.samples["sample_id"].tolist() == ["0", "1", "2"]
    assert emb.samples["label"].tolist()[:2] == ["NA", "nevus"]
    assert emb.samples["label"].isna().tolist() == [False, False, True]
    assert list(emb.samples) == ["sample_id", "path", "label", "patient_id", "split", "true_label"]


def test_columns_can_be_renamed(files):
    files[1].write_text("uid,dx\na,x\nb,y\nc,x\n")
    emb = read_embeddings(files[0], files[1], columns={"sample_id": "uid", "label": "dx", "path": None})
    assert emb.samples["sample_id"].tolist() == emb.samples["path"].tolist() == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"data.columns.label=dx"):
        read_embeddings(files[0], files[1], columns={"label": "dxx"})


def test_lengths_that_differ_are_both_stated(files):
    files[1].write_text("label\na\nb\n")
    with pytest.raises(UserError, match=r"3 vectors and .* 2 lines"):
        read_embeddings(files[0], files[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_bad_row_is_named(files, bad):
    vectors = files[2].copy()
    vectors[1, 2] = vectors[2, 0] = bad
    np.save(files[0], vectors)
    with pytest.raises(UserError, match=r"row 1 \(counted from 0\)"):
        read_embeddings(files[0], files[1])


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((3, 2, 2)), np.array([["a"]]), np.zeros((0, 4))])
def test_other_arrays_are_refused(files, array):
    np.save(files[0], array)
    with pytest.raises(UserError, match=r"expected"):
        read_embeddings(files[0])


def test_other_numbers_become_float32(files):
    np.save(files[0], np.arange(6, dtype=np.int64).reshape(3, 2))
    assert read_embeddings(files[0]).vectors.dtype == np.float32


def test_a_pickle_is_refused(files):
    np.save(files[0], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"numpy.save"):
        read_embeddings(files[0])


def test_an_id_that_occurs_twice(files):
    files[1].write_text("sample_id,label\na,x\na,y\nb,x\n")
    with pytest.raises(UserError, match="'a' occurs twice"):
        read_embeddings(files[0], files[1])


def test_a_missing_file_and_an_unfinished_run(files, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_embeddings(tmp_path / "nothing.npy")
    write_json(tmp_path / "run.json", {"stage": "embed", "schema_version": 1})
    with pytest.raises(UserError, match="unfinished"):
        read_embeddings(tmp_path)


def test_reading_vectors_does_not_load_torch():
    code = "import sys; import ssl_robust.encoders.embedding_files; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("shape", [(10**12, 64), (2**62, 2**10)])
def test_a_header_that_claims_more_than_there_is(tmp_path, shape):
    with (tmp_path / "E.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(bytes(64))
    with pytest.raises(UserError, match=r"E\.npy is no array of numbers \(.*\); write it with numpy\.save"):
        read_embeddings(tmp_path / "E.npy")
