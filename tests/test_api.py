import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import ssl_robust as sr
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.records import Embeddings


def assert_in_a_new_process(code):
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.fixture
def encoder(tmp_path):
    torch.manual_seed(0)
    made = create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.4], std=[0.2])
    card = describe(made, resize="pad", method="simclr", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(made, tmp_path / "ssl", card=card)
    return sr.load_encoder(tmp_path / "ssl")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)


def test_the_import_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pandas', 'sklearn', 'faiss', 'timm', 'hydra', 'omegaconf', 'yaml'}"
    assert_in_a_new_process(f"import sys; import ssl_robust; assert not {heavy} & set(sys.modules)")


def test_every_name_is_there_and_a_wrong_one_is_not():
    assert all(getattr(sr, name) is not None for name in sr.__all__)
    assert set(sr.__all__) <= set(dir(sr))
    with pytest.raises(AttributeError, match="no attribute 'embedd'"):
        sr.embedd  # noqa: B018


@pytest.mark.parametrize(
    "imports",
    [
        "import ssl_robust as sr\nimport ssl_robust.audit.table",
        "import ssl_robust.audit.table\nimport ssl_robust as sr",
        "import ssl_robust as sr\nsr.audit\nfrom ssl_robust.audit import table",
        "from ssl_robust import audit\nimport ssl_robust.audit.table as table\nimport ssl_robust as sr",
    ],
)
def test_audit_is_the_function_and_the_room_in_any_order(imports):
    assert_in_a_new_process(
        f"{imports}\nimport sys\nimport numpy as np\n"
        "assert sr.audit is sys.modules['ssl_robust.audit']\n"
        "assert sr.audit.table is sys.modules['ssl_robust.audit.table']\n"
        "labels = np.repeat([0, 1], 20)\n"
        "vectors = np.random.default_rng(0).normal(size=(40, 4)) + 9 * labels[:, None] * [1, 0, 0, 0]\n"
        "labels[3] = 1\n"
        "table = sr.audit(vectors, labels)\n"
        "assert table['rank'].idxmin() == 3, table\n"
        "assert 'torch' not in sys.modules"
    )


def test_an_array_a_folder_and_a_table_give_the_same_vectors(encoder, images, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("SSL_ROBUST_CACHE", str(tmp_path / "cache"))
    (tmp_path / "scans").mkdir()
    for row, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "scans" / f"{row}.png")
    lines = ["path,label", *(f"scans/{row}.png,{'ab'[row % 2]}" for row in range(6))]
    (tmp_path / "scans.csv").write_text("\n".join(lines) + "\n")

    array = sr.embed(encoder, images)
    folder = sr.embed(encoder, tmp_path / "scans")
    table = sr.embed(encoder, str(tmp_path / "scans.csv"))
    assert array.vectors.shape == (6, encoder.dim)
    assert array.samples["sample_id"].tolist() == list("012345")
    assert array.samples["label"].isna().all()
    assert np.array_equal(array.vectors, folder.vectors)
    assert np.array_equal(array.vectors, table.vectors)
    assert table.samples["label"].tolist() == list("ababab")


def test_arrays_of_other_layouts_are_fitted_to_the_encoder(encoder, images):
    expected = sr.embed(encoder, images, precision="fp32").vectors
    options = {"precision": "fp32", "batch_size": 4}
    np.testing.assert_allclose(sr.embed(encoder, images[..., None], **options).vectors, expected, rtol=1e-4, atol=1e-5)
    color = np.repeat(images[..., None], 3, axis=-1)
    np.testing.assert_allclose(sr.embed(encoder, color, **options).vectors, expected, rtol=1e-4, atol=1e-5)
    wide = sr.embed(encoder, images.astype(np.uint16) * 257, **options).vectors
    np.testing.assert_allclose(wide, expected, rtol=1e-4, atol=1e-5)
    assert sr.embed(encoder, np.zeros((2, 50, 70), np.uint8)).vectors.shape == (2, encoder.dim)


@pytest.mark.parametrize("wrong", [np.zeros((2, 8, 8)), np.zeros((2, 8, 8, 2), np.uint8), np.zeros((8, 8), np.uint8)])
def test_arrays_that_are_no_scans(encoder, wrong):
    with pytest.raises(ValueError, match="expected uint8 or uint16 scans"):
        sr.embed(encoder, wrong)


def test_paths_that_are_no_scans(encoder, tmp_path):
    with pytest.raises(sr.UserError, match="neither a folder nor"):
        sr.embed(encoder, tmp_path / "scans.tar")
    with pytest.raises(ValueError, match="not for arrays"):
        sr.embed(encoder, np.zeros((2, 8, 8), np.uint8), index="x.csv")


def test_a_directory_stands_for_its_encoder(encoder, images, tmp_path):
    assert np.array_equal(sr.embed(tmp_path / "ssl", images).vectors, sr.embed(encoder, images).vectors)


def test_embeddings_bring_labels_patients_and_ids_along():
    labels = np.repeat(["a", "b"], 20)
    vectors = np.random.default_rng(0).normal(size=(40, 4)) + 2 * (labels == "b")[:, None]
    samples = pd.DataFrame({"sample_id": [f"s{row}" for row in range(40)], "label": labels})
    samples["patient_id"] = [f"p{row // 4}" for row in range(40)]
    table = sr.audit(Embeddings(vectors, samples), k=5)
    expected = sr.audit(vectors, labels, groups=samples["patient_id"], ids=samples["sample_id"], k=5)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert table["sample_id"].tolist() == samples["sample_id"].tolist()
    other = np.roll(labels, 3)
    assert (sr.audit(Embeddings(vectors, samples), other)["label"] == other).all()
    with pytest.raises(ValueError, match="no labels"):
        sr.audit(vectors)


def test_corrupt_keeps_the_type_and_what_is_unlabelled():
    names = pd.Series(["nevus", "bcc", None, "mel", "bcc", "nevus"] * 50)
    noisy = sr.corrupt(names, kind="symmetric", rate=0.3, seed=0)
    known = names.notna().to_numpy()
    assert set(noisy[known]) == {"nevus", "bcc", "mel"}
    assert pd.isna(noisy[~known]).all()
    assert 0.2 < (noisy[known] != names[known]).mean() < 0.4
    codes = np.array([1, 4, 4, -1, 7] * 60)
    noisy = sr.corrupt(codes, kind="symmetric", rate=0.5, seed=1)
    assert noisy.dtype == codes.dtype
    assert set(noisy[codes >= 0]) == {1, 4, 7}
    assert (noisy[codes < 0] == -1).all()
    assert np.array_equal(noisy, sr.corrupt(codes, kind="symmetric", rate=0.5, seed=1))


def test_corrupt_takes_classes_by_name_and_patients_together():
    labels = np.array(["a", "b", "c", "a"] * 40)
    noisy = sr.corrupt(labels, kind="class_dependent", rate=0.4, seed=0, class_groups=[["a", "b"]])
    assert (noisy[labels == "c"] == "c").all()
    assert set(noisy[labels == "a"]) == {"a", "b"}
    patients = np.repeat(np.arange(40), 4)
    flipped = sr.corrupt(np.repeat(labels[:40], 4), kind="symmetric", rate=0.4, seed=0, ids=patients) != np.repeat(
        labels[:40], 4
    )
    assert all(len(set(flipped[patients == each])) == 1 for each in range(40))
    assert 0 < flipped.mean() < 1


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros((2, 1), int)])
def test_corrupt_wants_one_label_a_sample(labels):
    with pytest.raises(ValueError, match=r"shape \(N,\)"):
        sr.corrupt(labels, kind="symmetric", rate=0.1, seed=0)


def test_corrupt_by_patient_and_by_looks():
    labels, patients = np.repeat(["a", "b", "c", "d"], 60), np.repeat(np.arange(80), 3)
    noisy = sr.corrupt(labels, kind="raters", matrix="chaoyang_b", by="patient", groups=patients, seed=0)
    assert (noisy.reshape(80, 3) == noisy.reshape(80, 3)[:, :1]).all()
    scans = np.random.default_rng(0).integers(255, size=(240, 8, 8, 3), dtype=np.uint8)
    noisy = sr.corrupt(labels, kind="instance_dependent", rate=0.3, features=scans, seed=0)
    assert 0.2 < (noisy != labels).mean() < 0.4
    with pytest.raises(ValueError, match="give features="):
        sr.corrupt(labels, kind="instance_dependent", seed=0)
