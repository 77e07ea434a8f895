import json

import pandas as pd
import pytest

from ssl_robust.files import UserError
from ssl_robust.relabel.campaign import add_round, read_campaign, scans_of, start_campaign
from ssl_robust.run import Run

IDS = [f"train/{number}" for number in range(5)] + ["=cmd()|a,b\n.png"]
ABOUT = {"audit": "runs/audit", "data": {"path": "x", "fractions": {"val": 0.1}}, "classes": ["benign", "=x"],
         "control": IDS[::-1], "blind": True, "readers": 2, "seed": 3}  # fmt: skip


def rows(names, **values):
    n = len(names)
    columns = {"sample_id": names, "shown": ["rank"] * n, "label": ["benign"] * n, "suggested_label": ["=x"] * n,
               "p_mislabeled": [0.25] * (n - 1) + [float("nan")], "expected_gain": [1 / 3] * n, "cluster": [-1] * n,
               "neighbors": [[IDS[5], "train/1"]] * (n - 1) + [[]]}  # fmt: skip
    return pd.DataFrame({**columns, **values})


def started(tmp_path, names=(IDS[0], IDS[5], IDS[2])):
    with Run(tmp_path / "review", stage="relabel", config={"seed": 3}) as run:
        start_campaign(run.path, rows(list(names)), **ABOUT)
    return read_campaign(run.path)


def test_a_campaign_comes_back_as_it_was(tmp_path):
    campaign = started(tmp_path)
    assert campaign.control == tuple(IDS[::-1])
    assert (campaign.n, campaign.blind, campaign.readers, campaign.seed) == (6, True, 2, 3)
    assert campaign.classes == ("benign", "=x")
    assert campaign.data == ABOUT["data"]
    assert campaign.queue["position"].tolist() == [1, 2, 3]
    assert campaign.queue["sample_id"].tolist() == [IDS[0], IDS[5], IDS[2]]
    assert campaign.queue["neighbors"].tolist() == [[IDS[5], "train/1"]] * 2 + [[]]
    assert campaign.queue["suggested_label"].tolist() == ["=x"] * 3
    assert campaign.queue["expected_gain"].tolist() == [1 / 3] * 3
    assert campaign.queue["p_mislabeled"].isna().tolist() == [False, False, True]
    assert campaign.ledger().read() == []


def test_a_round_is_appended_and_changes_nothing_that_was_there(tmp_path):
    campaign = started(tmp_path)
    before = (campaign.place / "queue.csv").read_text(encoding="utf-8")
    after = add_round(campaign, rows([IDS[3], IDS[0]], shown=["control", "repeat"]))
    assert (campaign.place / "queue.csv").read_text(encoding="utf-8").startswith(before)
    assert after.queue["position"].tolist() == [1, 2, 3, 4, 5]
    assert after.queue["round"].tolist() == [1, 1, 1, 2, 2]
    assert after.rounds == ({"n_shown": 3}, {"n_shown": 2})
    pd.testing.assert_frame_equal(read_campaign(campaign.place).queue, after.queue)


def test_a_round_that_a_kill_cut_short_is_made_anew(tmp_path):
    campaign = started(tmp_path)
    about = (campaign.place / "campaign.json").read_text(encoding="utf-8")
    add_round(campaign, rows([IDS[3], IDS[4]]))
    (campaign.place / "campaign.json").write_text(about, encoding="utf-8")
    again = read_campaign(campaign.place)
    pd.testing.assert_frame_equal(again.queue, campaign.queue)
    assert add_round(again, rows([IDS[1]])).queue["sample_id"].tolist() == [IDS[0], IDS[5], IDS[2], IDS[1]]


def test_a_round_without_a_row_is_one(tmp_path):
    campaign = started(tmp_path)
    assert len(add_round(campaign, rows([IDS[0]]).head(0)).rounds) == 2


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        (rows(["train/9"]), "train/9.*not among the 6"),
        (rows([IDS[0]], shown="twice"), "twice"),
        (rows([IDS[0]]).drop(columns="cluster"), "cluster"),
    ],
)
def test_a_queue_that_does_not_fit_is_a_mistake_of_the_caller(tmp_path, queue, words):
    with pytest.raises(ValueError, match=words):
        start_campaign(tmp_path, queue, **ABOUT)
    assert not any(tmp_path.iterdir())


def test_what_is_no_campaign_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no run"):
        read_campaign(tmp_path)
    with Run(tmp_path / "audit", stage="audit", config={}):
        pass
    with pytest.raises(UserError, match=r"stage audit, expected relabel"):
        read_campaign(tmp_path / "audit")
    with Run(tmp_path / "half", stage="relabel", config={}):
        pass
    with pytest.raises(UserError, match=r"unfinished campaign"):
        read_campaign(tmp_path / "half")


def test_a_damaged_campaign_is_said_to_be(tmp_path):
    campaign = started(tmp_path)
    queue = campaign.place / "queue.csv"
    whole = queue.read_text(encoding="utf-8")
    queue.write_text("\n".join(whole.splitlines()[:2]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"is damaged \(queue.csv has 1 rows, expected 3\)"):
        read_campaign(campaign.place)
    queue.write_text(whole, encoding="utf-8")
    about = json.loads((campaign.place / "campaign.json").read_text(encoding="utf-8"))
    (campaign.place / "campaign.json").write_text(json.dumps({**about, "version": 2}), encoding="utf-8")
    with pytest.raises(UserError, match="another version"):
        read_campaign(campaign.place)


def test_scans_behind_an_audit_of_vectors_are_those_of_its_embed_run(tmp_path):
    folder = {"_target_": "ssl_robust.data.folder.read_folder", "path": "scans"}
    vectors = {"_target_": "ssl_robust.encoders.embedding_files.read_embeddings", "path": str(tmp_path / "emb")}
    for name, stage, data in (("emb", "embed", folder), ("plain", "audit", folder), ("of-run", "audit", vectors),
                              ("of-file", "audit", {**vectors, "path": "e.npy"})):  # fmt: skip
        with Run(tmp_path / name, stage=stage, config={"data": data}):
            pass
    assert scans_of(tmp_path / "plain") == scans_of(tmp_path / "of-run") == folder
    assert scans_of(tmp_path / "of-file") is None
