import json

import numpy as np
import pytest
from answering import said
from campaigns import make_audit, make_campaign

from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import data_settings
from ssl_robust.files import UserError
from ssl_robust.relabel import adjudicate
from ssl_robust.relabel.campaign import read_campaign
from ssl_robust.relabel.control import Draws, remaining
from ssl_robust.relabel.progress import left_of
from ssl_robust.relabel.summary import command, summarize
from ssl_robust.report import render

EVIL = "</script><b>"


@pytest.fixture
def campaign(tmp_path):
    data = data_settings("phantoms", n_patients=6, scans_per_patient=2, size=32)
    ids = make_audit(tmp_path / "audit", data)["sample_id"].tolist()
    asked = [*ids[:6], ids[11], ids[10], ids[0]]  # of the control order the first two
    shown = ["rank"] * 6 + ["control"] * 2 + ["repeat"]
    return make_campaign(tmp_path / "review", tmp_path / "audit", ids=asked, shown=shown)


def answer(campaign, row, label, by="Ann", **values):
    asked = campaign.queue.iloc[row]
    return said(asked["sample_id"], asked["label"] if label == "same" else label, by, shown=asked["shown"],
                given=asked["label"], **values)  # fmt: skip


def test_a_campaign_that_nobody_answered_has_a_page(campaign):
    facts = summarize(campaign)
    assert (facts["n"], facts["n_asked"], facts["n_read"], facts["n_open"]) == (12, 8, 0, 8)
    assert facts["between"] is None
    assert facts["readers"] == facts["themselves"] == facts["found"] == []
    page = render(campaign.place)
    assert page is not None
    text = page.read_text(encoding="utf-8")
    assert "0 of 8 labels read, 0 were wrong" in text
    assert "ssl-robust review run=review" in text
    assert "relabel apply" not in text


def test_the_summary_counts_what_was_said(campaign):
    other = next(name for name in campaign.classes if name != campaign.queue["label"][0])
    wrong = next(name for name in campaign.classes if name != campaign.queue["label"][6])
    campaign.ledger().extend(
        [
            answer(campaign, 0, other, minute=1),
            answer(campaign, 1, "same", minute=2),
            answer(campaign, 2, None, minute=3),
            answer(campaign, 6, wrong, minute=4),
            answer(campaign, 7, "same", EVIL, minute=5),
            answer(campaign, 8, "same", minute=6),  # the repeat of the first
        ]
    )
    facts = summarize(campaign)
    assert (facts["n_read"], facts["n_open"], facts["n_answers"]) == (5, 3, 6)
    assert (facts["n_wrong"], facts["n_right"], facts["n_unsure"], facts["n_unsettled"]) == (2, 2, 1, 0)
    assert facts["found"] == [1, 1, 2, 2]
    assert facts["shown"] == [{"kind": "rank", "n": 2, "n_wrong": 1}, {"kind": "control", "n": 2, "n_wrong": 1}]
    by_class = {each["name"]: each for each in facts["classes"]}
    assert by_class[campaign.queue["label"][0]]["taken_for"] == other
    assert sum(each["n_wrong"] for each in facts["classes"]) == 2
    assert [(each["name"], each["n"], each["n_unsure"]) for each in facts["readers"]] == [(EVIL, 1, 0), ("Ann", 5, 1)]
    assert facts["readers"][1]["seconds"] == 2.0
    assert [(each["name"], each["n_same"], each["n"]) for each in facts["themselves"]] == [("Ann", 0, 1)]
    assert facts["left"]["n_control"] == 2
    assert facts["left"]["rate"] == 0.5
    assert facts["sentence"].startswith("Too few of the scans drawn at random are read (2)")
    text = render(campaign.place).read_text(encoding="utf-8")
    assert EVIL not in text
    assert "relabel apply run=review" in text


def test_the_word_writes_what_follows_from_the_ledger(campaign, capsys):
    campaign.ledger().append(answer(campaign, 0, "same"))
    assert command([f"run={campaign.place}"]) == campaign.place
    assert "labels are wrong" in capsys.readouterr().out
    assert json.loads((campaign.place / "relabel.json").read_text(encoding="utf-8"))["n_right"] == 1
    assert read_table(campaign.place / "answers.csv")["sample_id"].tolist() == [campaign.queue["sample_id"][0]]
    with pytest.raises(UserError, match="relabel report has no option rn, did you mean run"):
        command(["rn=x"])


def test_scans_on_which_readers_differ_are_put_before_somebody_once(campaign, capsys):
    words = [f"run={campaign.place}"]
    other = next(name for name in campaign.classes if name != campaign.queue["label"][3])
    answers = [answer(campaign, row, "same", by) for row, by in ((3, "Ann"), (1, "Ann"), (1, "Ben"))]
    campaign.ledger().extend(answers)
    assert adjudicate.command(words) is None
    assert "No two readers differ" in capsys.readouterr().out
    campaign.ledger().append(answer(campaign, 3, other, "Ben"))
    assert summarize(campaign)["n_unsettled"] == 1
    assert adjudicate.command(words) == campaign.place
    after = read_campaign(campaign.place)
    assert after.queue["sample_id"].tolist() == [*campaign.queue["sample_id"], campaign.queue["sample_id"][3]]
    assert after.queue["shown"].iloc[-1] == "adjudication"
    assert after.queue["round"].iloc[-1] == 2
    assert adjudicate.command(words) is None, "it is in the queue already"
    after.ledger().append(said(campaign.queue["sample_id"][3], other, "Cleo", shown="adjudication"))
    facts = summarize(after)
    assert (facts["n_unsettled"], facts["n_wrong"], facts["n_open"]) == (0, 1, 6)
    assert "Fleiss" not in render(campaign.place).read_text(encoding="utf-8")


def test_the_bound_counts_labels_as_the_summary_does(tmp_path, campaign):
    """Two readers of three outvote a label: it is wrong for the bound too. Who tie have not answered."""
    three = make_campaign(tmp_path / "three", tmp_path / "audit", ids=campaign.queue["sample_id"][:8].tolist(),
                          shown=["rank"] * 6 + ["control"] * 2, readers=3)  # fmt: skip
    other = next(name for name in three.classes if name != three.queue["label"][6])
    three.ledger().extend(
        [answer(three, 6, other, "Ann"), answer(three, 6, other, "Ben"), answer(three, 6, "same", "Cy")]
    )
    assert summarize(three)["n_wrong"] == 1
    left = left_of(three, level=0.9)
    assert (left.rate, left.n_control, left.n) == (1, 1, three.n - 1)
    found = remaining(
        [Draws(np.array([True]), 12, 0)], np.array([True]), n=12, n_answered=1, n_found=1, p_wrong=None, level=0.9
    )
    assert left.most == found.most
    other = next(name for name in three.classes if name != three.queue["label"][7])
    three.ledger().extend(
        [answer(three, 7, None, "Cy"), answer(three, 7, "same", "Ann"), answer(three, 7, other, "Ben")]
    )
    assert left_of(three, level=0.9) == left


def test_control_scans_of_which_nobody_was_sure_are_told(campaign):
    campaign.ledger().extend([answer(campaign, 6, None), answer(campaign, 7, "same")])
    sentence = summarize(campaign)["sentence"]
    assert "(1 of 2 control scans, of which nobody was sure, count as right)" in sentence
