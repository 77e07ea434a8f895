import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from ssl_robust.data.manifest import COLUMNS, build_manifest, data_settings, load_manifest
from ssl_robust.data.sources import ArraySource
from ssl_robust.data.votes import Votes
from ssl_robust.run import UserError


def built(classes=None, votes=None, **columns):
    columns = {"sample_id": ["a", "b", "c", "d"], **columns}
    n = len(columns["sample_id"])
    images = np.arange(n, dtype=np.uint8)[:, None, None] + np.zeros((1, 8, 8), np.uint8)
    splits = {
        "fractions": columns.pop("fractions", {"val": 0.1, "test": 0.2}),
        "split_seed": columns.pop("split_seed", 0),
    }
    return build_manifest(columns, ArraySource(images, "f"), classes=classes, where="here", votes=votes, **splits)


def test_all_columns_are_there_as_texts():
    manifest = built(label=[10, 2, None, ""], patient_id=["p", None, "q", "p"])
    assert tuple(manifest.table) == COLUMNS
    assert {str(dtype) for dtype in manifest.table.dtypes} == {"string"}
    assert manifest.table["path"].tolist() == ["a", "b", "c", "d"]
    assert manifest.classes == ("2", "10"), "numbers are sorted by value"
    assert manifest.codes().tolist() == [1, 0, -1, -1]
    assert manifest.codes("true_label").tolist() == [-1] * 4
    groups = manifest.groups()
    assert groups[0] == groups[3]
    assert len(set(groups)) == 3
    assert manifest.has_patients
    assert not built().has_patients


def test_fractions_beside_given_splits_are_said_to_change_nothing(capsys):
    built(split=["train", "train", "val", "test"])
    built(fractions={"val": 0.3, "test": 0.3}, split_seed=4)
    assert capsys.readouterr().err == ""
    built(split=["train", "train", "val", "test"], fractions={"val": 0.3, "test": 0.2})
    built(split=["train", "train", "val", "test"], split_seed=4)
    assert capsys.readouterr().err.count("Note: here brings its splits; data.fractions and data.split_seed") == 2


def test_codes_get_their_names():
    classes = ["nevus", "melanoma"]
    for label in ([1, 0, 1, None], ["melanoma", "nevus", "melanoma", None], ["1", "0", "1", "-1"]):
        manifest = built(classes=classes, label=label, true_label=["nevus", None, None, None])
        assert manifest.table["label"].tolist()[:3] == ["melanoma", "nevus", "melanoma"]
        assert manifest.codes().tolist() == [1, 0, 1, -1]
        assert manifest.codes("true_label").tolist() == [0, -1, -1, -1]
    with pytest.raises(UserError, match=r"label '2' is not one of data.classes \(nevus, melanoma\)"):
        built(classes=["nevus", "melanoma"], label=[2, 0, 1, 0])


def test_classes_named_by_numbers_do_not_shift_the_labels():
    assert built(classes=[1, 2, 3], label=[0, 1, 2, 0]).table["label"].tolist() == ["1", "2", "3", "1"]
    assert built(classes=[1, 2, 3], label=[1, 2, 3, 1]).table["label"].tolist() == ["1", "2", "3", "1"]
    both = built(classes=[1, 2, 3], label=[1, 2, 1, 2], true_label=[0, 1, 1, 2])
    assert both.table["label"].tolist() == ["2", "3", "2", "3"], "the codes of the other column decide"
    with pytest.raises(UserError, match=r"'1' may be a name of data.classes \(1, 2, 3\) or a code"):
        built(classes=[1, 2, 3], label=[1, 2, 1, 2])
    with pytest.raises(UserError, match=r"some labels are names .* and some codes, e.g. '1'"):
        built(classes=["a", "b"], label=["a", 1, "b", "a"])
    with pytest.raises(UserError, match="names 'a' twice"):
        built(classes=["a", "b", "a"], label=["a", "b", "a", "b"])


def test_what_means_no_label():
    assert built(label=["-1", "1", "0", "nan"]).classes == ("0", "1")
    assert built(label=["-1", "1", "0", "nan"]).codes().tolist() == [-1, 1, 0, -1]
    assert built(label=[-1.0, 1.0, 0.0, float("NaN")]).codes().tolist() == [-1, 1, 0, -1]
    assert built(label=["-1", "a", "NA", "NaN"]).classes == ("-1", "NA", "a"), "-1 among names is a name"
    assert built(classes=[-1, 1], label=[-1, 1, 1, -1]).codes().tolist() == [0, 1, 1, 0], "named by the user"


def test_rows_and_take():
    manifest = built(split=["train", "val", "test", "train"], label=list("xyxy"))
    assert manifest.rows("train").tolist() == [0, 3]
    assert manifest.rows("test", "val").tolist() == [1, 2]
    assert manifest.rows("all").tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"unknown split 'tset'"):
        manifest.rows("tset")
    some = manifest.take(np.array([3, 1]))
    assert some.table["sample_id"].tolist() == ["d", "b"]
    assert some.table.index.tolist() == [0, 1]
    assert [some.source.read(row)[0, 0] for row in (0, 1)] == [3, 1]
    assert some.fingerprint != manifest.fingerprint


def test_the_votes_of_readers_follow_their_scans():
    table = pd.DataFrame({"a": list("xxy "), "b": list("xyy ")}, index=[3, 4, 5, 6])
    manifest = built(votes=Votes(table, "majority"))
    assert manifest.codes().tolist() == [0, -1, 1, -1]
    assert {str(dtype) for dtype in manifest.votes.dtypes} == {"string"}
    some = manifest.take(np.array([2, 1]))
    assert some.votes.fillna("").to_numpy().tolist() == [["y", "y"], ["x", "y"]]
    assert some.votes.index.tolist() == [0, 1]
    others = built(votes=Votes(table.assign(c=["x", " ", "y", " "]), "majority"))
    assert others.codes().tolist() == manifest.codes().tolist()
    assert others.fingerprint != manifest.fingerprint
    same = built(label=["x", None, "y", None])
    assert same.votes is None
    assert same.fingerprint != manifest.fingerprint, "an audit says how many gave the label"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([f"scan {n}" for n in range(50)], "labels look like an id or a free text .50 different ones for 50 scans"),
        ([str(n / 7) for n in range(50)], "labels are measurements"),
        ([str(n % 35 + 0.5) for n in range(100)], "labels are measurements .35 different ones for 100 scans"),
    ],
)
def test_what_are_no_classes_is_refused(label, message):
    columns = {"sample_id": list(map(str, range(len(label)))), "label": label}
    with pytest.raises(UserError, match=message):
        built(**columns)
    built(**columns, classes=list(dict.fromkeys(label)))  # someone who names them means them


def test_spellings_of_one_class_are_pointed_at(capsys):
    assert built(label=["Nevus", "nevus", "scar", "scar tissue"]).classes == ("Nevus", "nevus", "scar", "scar tissue")
    assert capsys.readouterr().err == (
        "Note: here: the labels 'Nevus' and 'nevus' count as 2 classes; if they are one, write them alike\n"
    )
    built(classes=["Nevus", "nevus"], label=["Nevus", "nevus", "nevus", None])
    assert capsys.readouterr().err == ""


def test_many_or_graded_classes_are_classes():
    ids = list(map(str, range(100)))
    assert len(built(sample_id=ids, label=[str(n % 50) for n in range(100)]).classes) == 50
    assert len(built(sample_id=ids, label=[str(n % 7 / 2) for n in range(100)]).classes) == 7
    assert len(built(sample_id=ids[:40], label=ids[:40]).classes) == 40, "too few to say"


def test_fingerprint_follows_all_that_a_result_hangs_on():
    columns = {"label": list("xyxy"), "split": ["train", "train", "val", "test"], "patient_id": list("ppqr")}
    same = built(**columns).fingerprint
    assert same == built(**columns).fingerprint
    assert same == built(**{**columns, "patient_id": list("mmno")}).fingerprint, "pseudonyms for patients are the same"
    changes = {"label": list("xyyy"), "sample_id": list("abce"), "true_label": list("xxxx"),
               "split": ["train", "train", "test", "val"], "patient_id": list("pqrs")}  # fmt: skip
    for name, values in changes.items():
        assert built(**{**columns, name: values}).fingerprint != same, name


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sample_id": []}, "here holds no scans"),
        ({"sample_id": ["a", "b", "a", "a"]}, "'a' occurs 3 times"),
        ({"sample_id": ["a", "", "c", "d"]}, "row 2 has an empty sample_id"),
        ({"split": ["train", "trian", "val", "val"]}, "row 2 has the split 'trian'"),
        ({"split": ["train", None, "val", "val"]}, "row 2 has no split"),
    ],
)
def test_wrong_tables_are_refused(columns, message):
    with pytest.raises(UserError, match=message):
        built(**columns)


def test_load_from_a_config_node_or_a_dict(tmp_path):
    np.savez(tmp_path / "a.npz", train_images=np.zeros((3, 8, 8), np.uint8))
    settings = data_settings("npz", path=str(tmp_path / "a.npz"))
    root = OmegaConf.create({"where": settings["path"], "data": {**settings, "path": "${where}"}})
    OmegaConf.set_struct(root, True)
    for data in (settings, root.data, {key: settings[key] for key in ("_target_", "path", "index", "task")}):
        assert len(load_manifest(data)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"_target_": "os.system"},
            r"data\._target_=os.system is nothing that ssl-robust calls there; choose one with data=NAME",
        ),
        ({"_target_": "ssl_robust.encoders.embedding_files.read_embeddings"}, "only `audit` and `probe` take it"),
        ({"path": "???"}, "data.path is missing"),
        ({"pth": "x"}, "data has no option pth, did you mean data.path"),
        ({"path": "nowhere.npz"}, "data.path=nowhere.npz does not exist"),
        ({"path": "."}, "is a folder; give a file"),
    ],
)
def test_wrong_options_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        load_manifest({**data_settings("npz", path="x.npz"), **change})


def test_only_the_named_columns_change():
    columns = data_settings("csv", columns={"label": "dx"})["columns"]
    assert columns["label"] == "dx"
    assert columns["split"] is None
    assert pd.isna(built().table["label"]).all()
