import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from pools import scans

from ssl_robust.cli import run as main
from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.campaign import read_campaign
from ssl_robust.relabel.loop import answers_of, pool_of
from ssl_robust.relabel.progress import left_of
from ssl_robust.relabel.stage import start_review
from ssl_robust.relabel.subject import read_subject
from ssl_robust.run import UserError, read_json
from ssl_robust.settings import compose

NAMES = np.array(["a", "b", "c"])
N = 150


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """An audit of vectors, and the truth by id."""
    home = tmp_path_factory.mktemp("audit")
    known, truth, given = scans(N)
    vectors = known.vectors.copy()
    vectors[1] = vectors[0]  # one picture twice
    np.save(home / "vectors.npy", vectors)
    table = pd.DataFrame({"sample_id": [f"s{row}" for row in range(N)], "label": NAMES[given],
                          "patient_id": [f"p{row // 3}" for row in range(N)],
                          "split": np.where(np.arange(N) % 4 == 0, "test", "train")})  # fmt: skip
    table.to_csv(home / "labels.csv", index=False)
    code = main(["audit", "data=embeddings", f"data.path={home}/vectors.npy", f"data.labels={home}/labels.csv",
                 "estimate.n_resamples=2", "bootstrap.n_resamples=2", f"out={home}/audit"])  # fmt: skip
    assert code == 0
    return home / "audit", dict(zip(table["sample_id"], NAMES[truth], strict=True))


def answer_all(campaign, truth, *, rows=None, unsure=()):
    ledger = campaign.ledger()
    queue = campaign.queue if rows is None else campaign.queue.iloc[rows]
    for row in queue.itertuples():
        said = None if row.sample_id in unsure else truth[row.sample_id]
        made = (f"{row.position}", row.sample_id, row.label, said, "anna", f"2026-01-01T00:00:{row.position % 60:02}")
        ledger.append(Answer(*made, 1.0, row.shown, False, "0"))


def test_a_campaign_is_made_of_an_audit(audit, tmp_path, capsys):
    run, _ = audit
    out = tmp_path / "review"
    assert main(["relabel", f"run={run}", f"out={out}", "n=40"]) == 0
    said = capsys.readouterr().out
    assert f"ssl-robust review run={out}" in said
    campaign = read_campaign(out)
    shown = campaign.queue["shown"].value_counts().to_dict()
    assert shown == {"rank": 35, "control": 4, "repeat": 1}
    assert campaign.n == N == len(set(campaign.control))
    by_rank = campaign.queue[campaign.queue["shown"] == "rank"]
    assert by_rank["p_mislabeled"].is_monotonic_decreasing
    table = pd.read_csv(run / "audit.csv").set_index("sample_id")
    np.testing.assert_allclose(by_rank["p_mislabeled"], table.loc[by_rank["sample_id"], "p_mislabeled"], atol=1e-6)
    drawn = campaign.queue.loc[campaign.queue["shown"] == "control", "sample_id"]
    assert drawn.tolist() == list(campaign.control[:4])
    assert read_json(out / "run.json")["finished"]


def test_the_first_round_by_an_audits_order_reads_no_vectors(audit, tmp_path, monkeypatch):
    run, _ = audit

    def refuse(*_):
        raise AssertionError("vectors are not needed")

    monkeypatch.setattr("ssl_robust.encoders.ready_vectors.read_vectors", refuse)
    assert start_review(run, tmp_path / "review", n=10) == tmp_path / "review"


def test_answers_make_the_next_round_and_what_was_there_stays(audit, tmp_path, capsys):
    run, truth = audit
    out = start_review(run, tmp_path / "review", n=40)
    campaign = read_campaign(out)
    answer_all(campaign, truth)
    assert main(["relabel", "resume=true", f"out={out}", "n=30"]) == 0
    said = capsys.readouterr().out
    assert "Round 2: 29 of 150 scans to read, and 1 once more" in said
    assert "labels are wrong at most" in said
    after = read_campaign(out)
    pd.testing.assert_frame_equal(after.queue.head(40), campaign.queue)
    new = after.queue.iloc[40:]
    assert new["round"].unique().tolist() == [2]
    asked = new[new["shown"] != "repeat"]
    assert not set(asked["sample_id"]) & set(campaign.queue["sample_id"])
    drawn = new.loc[new["shown"] == "control", "sample_id"].tolist()
    open_ids = [name for name in after.control if name not in set(campaign.queue["sample_id"])]
    assert drawn == open_ids[:3]


def test_what_is_known_after_answers(audit, tmp_path):
    run, truth = audit
    campaign = read_campaign(start_review(run, tmp_path / "review", n=40))
    unsure = campaign.queue["sample_id"].iloc[0]
    answer_all(campaign, truth, unsure=[unsure])
    subject = read_subject(run)
    settings = compose("relabel", ["seed=0"])
    pool = pool_of(subject, settings, answers_of(campaign))
    row = {name: number for number, name in enumerate(subject.ids)}
    told = [name for name in campaign.queue["sample_id"].unique() if name != unsure]
    assert NAMES[pool.labels[[row[name] for name in told]]].tolist() == [truth[name] for name in told]
    assert pool.labels[row[unsure]] == subject.labels[row[unsure]]
    assert np.flatnonzero(pool.answered).tolist() == sorted(row[name] for name in told)
    np.testing.assert_array_equal(pool.given, subject.labels)
    np.testing.assert_allclose(pool.wrong[[row[name] for name in told]], 0, atol=1e-6)


def test_the_bound_counts_control_answers_round_by_round(audit, tmp_path):
    run, truth = audit
    campaign = read_campaign(start_review(run, tmp_path / "review", n=40))
    before = left_of(campaign, level=0.9)
    assert (before.n, before.most, before.n_control) == (N, N, 0)
    answer_all(campaign, truth)
    after = left_of(campaign, level=0.9)
    given = pd.read_csv(run / "audit.csv").set_index("sample_id")["label"]
    read = set(campaign.queue["sample_id"])
    n_wrong = sum(truth[name] != given[name] for name in campaign.control if name not in read)
    assert after.n == N - len(read)
    assert after.n_control == 4
    assert n_wrong <= after.most < N - len(read)
    assert after.next_finds != after.next_finds  # nothing is queued any more


def test_a_gap_in_the_control_answers_ends_what_is_counted(audit, tmp_path):
    run, truth = audit
    campaign = read_campaign(start_review(run, tmp_path / "review", n=40))
    control = np.flatnonzero(campaign.queue["shown"] == "control")
    answer_all(campaign, truth, rows=np.delete(np.arange(40), control[1]))
    assert left_of(campaign, level=0.9).n_control == 1


def test_blind_hides_the_order_and_patients_are_asked_whole(audit, tmp_path):
    run, _ = audit
    blind = read_campaign(start_review(run, tmp_path / "blind", n=40, blind=True))
    plain = read_campaign(start_review(run, tmp_path / "plain", n=40))
    assert blind.blind
    of_rank = [each.queue.loc[each.queue["shown"] == "rank", "sample_id"].tolist() for each in (blind, plain)]
    assert of_rank[0] != of_rank[1]
    assert set(of_rank[0]) == set(of_rank[1])
    whole = read_campaign(start_review(run, tmp_path / "whole", n=5, per_patient=True, control=0.2))
    patients = [int(name[1:]) // 3 for name in whole.queue["sample_id"]]
    assert len(patients) == 15
    assert len(set(patients)) == 5


def test_another_sampler_forms_an_opinion_of_its_own(audit, tmp_path):
    run, _ = audit
    campaign = read_campaign(start_review(run, tmp_path / "review", n=40, sampler="margin"))
    gains = campaign.queue.loc[campaign.queue["shown"] == "rank", "expected_gain"]
    assert gains.is_monotonic_decreasing
    assert not campaign.queue["p_mislabeled"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "run= is missing"),
        (["run=nowhere"], "nowhere holds no run"),
        (["run={run}", "n=0"], "n=0 is not positive"),
        (["run={run}", "control=2"], "control=2 is no share"),
        (["run={run}", "control=0.9", "repeat=0.2"], "more than all showings"),
        (["run={run}", "sampler=audti"], "did you mean audit"),
        (["run={run}", "per_patient=true", "class_quota=0.5"], "leave one of them out"),
        (["aply"], "relabel aply is not known"),
    ],
)
def test_mistakes_are_told_in_one_sentence(audit, tmp_path, capsys, words, sentence):
    run, _ = audit
    made = [word.format(run=run) for word in words]
    assert main(["relabel", *made, *([] if words == ["aply"] else [f"out={tmp_path}/review"])]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "review").exists()


def test_a_campaign_goes_on_with_its_own_audit(audit, tmp_path):
    run, truth = audit
    out = start_review(run, tmp_path / "review", n=10, seed=3)
    answer_all(read_campaign(out), truth)
    start_review(None, out, n=10, resume=True)
    assert read_campaign(out).seed == 3
    with pytest.raises(UserError, match="is about"):
        start_review(tmp_path / "other", out, n=10, resume=True)
    while len(set(read_campaign(out).queue["sample_id"])) < N:  # a copy has to wait until it is drawn
        start_review(run, out, n=80, resume=True, sampler="random", repeat=0)
    with pytest.raises(UserError, match="are in its queue already; read on with `ssl-robust review run="):
        start_review(run, out, n=50, resume=True, sampler="random")


def test_a_copy_is_read_only_where_it_is_asked_for(audit, tmp_path):
    run, _ = audit
    out = start_review(run, tmp_path / "review", n=N, control=0, repeat=0)
    assert len(read_campaign(out).queue) == N - 1  # one picture is there twice
    with pytest.raises(UserError, match="show pictures in its queue"):
        start_review(run, out, n=20, resume=True, control=0, repeat=0)
    start_review(run, out, n=20, resume=True, control=1, repeat=0)
    assert read_campaign(out).queue["shown"].tolist()[N - 1 :] == ["control"]


def test_policies_are_compared_from_the_command_line(audit, tmp_path, capsys):
    run, _ = audit
    home = run.parent
    out = tmp_path / "policies"
    data = ["data=embeddings", f"data.path={home}/vectors.npy", f"data.labels={home}/labels.csv"]
    words = ["relabel", "simulate", *data,
             "policies=[random,oracle,audit]", "budgets=[0.1,0.3]", "seeds=2", f"out={out}"]  # fmt: skip
    assert main([*words, "policies=[random,adit]"]) == 2
    assert "policies has adit" in capsys.readouterr().err
    assert main(words) == 0
    curves, policies = pd.read_csv(out / "curves.csv"), pd.read_csv(out / "policies.csv").set_index("policy")
    assert curves.groupby(["policy", "seed"]).size().to_dict() == {
        (policy, seed): 4 if policy == "random" else 3 for policy in ("random", "oracle", "audit") for seed in (0, 1)
    }
    assert policies.loc["oracle", "to_halve"] < policies.loc["audit", "to_halve"] < policies.loc["random", "to_halve"]
    assert policies.loc["random", "to_halve_of_random"] == 1
    facts = json.loads((out / "simulate.json").read_text(encoding="utf-8"))
    assert (facts["n"], facts["seeds"]) == (int((np.arange(N) % 4 > 0).sum()), 2)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "audit halves the errors with" in page
    assert main(words) == 2  # there is a run already


def test_policies_are_compared_without_a_test_split(audit, tmp_path):
    """Nothing measures a classifier, and nothing is claimed of one; how soon the noise halves is known."""
    home, out = audit[0].parent, tmp_path / "policies"
    table = pd.read_csv(home / "labels.csv").drop(columns="split")
    table.to_csv(tmp_path / "labels.csv", index=False)
    data = ["data=embeddings", f"data.path={home}/vectors.npy", f"data.labels={tmp_path}/labels.csv"]
    words = ["relabel", "simulate", *data, "policies=[random,oracle]", "budgets=[0.2]", f"out={out}"]
    assert main(words) == 0
    policies = pd.read_csv(out / "policies.csv").set_index("policy")
    assert policies["to_reach"].isna().all()
    assert policies["to_reach_of_random"].isna().all()
    assert policies.loc["oracle", "to_halve"] < policies.loc["random", "to_halve"]
    assert "to the goal" not in (out / "report.html").read_text(encoding="utf-8")


def test_one_answer_is_one_line_whatever_is_asked(audit, tmp_path):
    """Unsettled scans are no answers: two readers who differ leave the label."""
    run, truth = audit
    campaign = read_campaign(start_review(run, tmp_path / "review", n=10, readers=2))
    answer_all(campaign, truth)
    assert answers_of(campaign) == {}
    first = campaign.ledger().read()[0]
    other = next(name for name in NAMES if name != first.answer)
    campaign.ledger().append(dataclasses.replace(first, id="x", annotator="ben", answer=other))
    second = campaign.ledger().read()[1]
    campaign.ledger().append(dataclasses.replace(second, id="y", annotator="ben"))
    assert answers_of(campaign) == {first.sample_id: None, second.sample_id: second.answer}
