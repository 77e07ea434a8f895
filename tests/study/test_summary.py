import json
import shutil

import pandas as pd
import pytest
from studies import make_study

from ssl_robust.files import UserError
from ssl_robust.study.summary import summarise

FEW = {"n_resamples": 200}


def words(found):
    return " ".join(sentence for each in found["answers"] for sentence in each["sentences"])


def test_a_whole_study_is_answered_with_intervals(tmp_path):
    found = summarise(make_study(tmp_path / "s"), FEW)
    assert (found["n_done"], found["n_missing"], found["reference"]["init"]) == (2 * 4 * 3 * 4 * 3, 0, "random")
    assert [each["question"] for each in found["answers"]] == [
        "How much does label noise hurt?", "Which sets are hard?", "What protects?"]  # fmt: skip
    said = words(found)
    assert "contrastive +0." in said
    assert "cannot be said with 2 of the three sets" in said
    assert json.loads((tmp_path / "s" / "summary.json").read_text())["n_done"] == found["n_done"]
    reference = [row for row in found["robustness"] if (row["init"], row["strategy"]) == ("random", "cross_entropy")]
    assert len(reference) == 4
    assert all(row["lost"]["low"] <= row["lost"]["estimate"] <= row["lost"]["high"] for row in reference)


def test_the_measured_values_are_those_of_the_cells(tmp_path):
    study = make_study(tmp_path / "s", sets={"a": (3, 0.8)}, strategies={"cross_entropy": 0.0})
    cells = pd.read_csv(study / "cells.csv", keep_default_na=False)
    means = cells.groupby(["init", "noise", "rate"])[["best_balanced_accuracy", "last_balanced_accuracy"]].mean()
    for row in summarise(study, FEW)["accuracies"]:
        best, last = means.loc[(row["init"], row["noise"], row["rate"])]
        assert row["best"]["estimate"] == pytest.approx(best)
        assert row["last"]["estimate"] == pytest.approx(last)


def test_the_worst_class_is_told_at_the_highest_rate_as_it_was_measured(tmp_path):
    study = make_study(tmp_path / "s", sets={"a": (3, 0.8)}, inits={"random": 0.0})
    cells = pd.read_csv(study / "cells.csv", keep_default_na=False)
    (table,) = (each for each in summarise(study, FEW)["tables"] if each["noise"] == "symmetric")
    for row in table["strategy"]["rows"]:
        mine = cells[(cells["strategy"] == row["name"][0]) & (cells["noise"] == "symmetric") & (cells["rate"] == 0.4)]
        for which in ("best", "last"):
            recall = mine[f"{which}_worst_class_recall"]
            assert row["worst"][which] == pytest.approx(
                {"mean": recall.mean(), "lowest": recall.min(), "highest": recall.max()}
            )


def test_last_without_its_hits_has_an_interval_of_seeds_alone(tmp_path):
    one = {"sets": {"a": (2, 0.9)}, "inits": {"random": 0.0}, "strategies": {"cross_entropy": 0.0}}
    (row, *_) = summarise(make_study(tmp_path / "s", **one, last=False, seeds=(0,)), FEW)["accuracies"]
    assert row["last"]["low"] == row["last"]["estimate"] == row["last"]["high"]
    assert row["best"]["low"] < row["best"]["high"]


def test_one_seed_says_so_and_claims_nothing(tmp_path):
    said = words(summarise(make_study(tmp_path / "s", seeds=(4,)), FEW))
    assert "one seed" in said
    assert "gain over" not in said
    assert " takes " not in said


def test_equal_strategies_are_not_shown_to_differ(tmp_path):
    study = make_study(tmp_path / "s", strategies={"cross_entropy": 0.0, "gce": 0.0}, inits={"random": 0.0})
    cells = pd.read_csv(study / "cells.csv", keep_default_na=False)
    for cell in cells["cell"][cells["strategy"] == "gce"]:
        shutil.copytree(study / cell.replace("gce", "cross_entropy"), study / cell, dirs_exist_ok=True)
    (row,) = (row for row in summarise(study, FEW)["strategy_gains"] if row["set"] is None)
    assert (row["estimate"], row["low"], row["high"], row["verdict"]) == (0.0, 0.0, 0.0, "open")


def test_three_sets_let_difficulty_predict(tmp_path):
    sets = {"a": (2, 0.95), "b": (2, 0.8), "c": (2, 0.7)}
    found = summarise(make_study(tmp_path / "s", sets=sets, inits={"random": 0.0}), FEW)
    assert [row["n_sets"] for row in found["prediction"]] == [3, 3]
    assert all(row["rho"]["low"] <= row["rho"]["estimate"] <= row["rho"]["high"] for row in found["prediction"])
    assert "perfect order comes by chance in 33 %" in words(found)


def test_an_unfinished_study_counts_what_is_missing(tmp_path):
    study = make_study(tmp_path / "s", keep=lambda cell: cell["seed"] == 0 or cell["init"] == "random")
    found = summarise(study, FEW)
    assert found["n_missing"] == found["n_planned"] - found["n_done"] == 2 * 3 * 3 * 4 * 2
    assert found["fewest_seeds"] == 1


def test_an_empty_study_and_foreign_predictions_are_told(tmp_path):
    with pytest.raises(UserError, match="no cell of the study"):
        summarise(make_study(tmp_path / "empty", keep=lambda cell: False))
    study = make_study(tmp_path / "s", inits={"random": 0.0}, strategies={"cross_entropy": 0.0})
    path = study / pd.read_csv(study / "cells.csv")["cell"][0] / "predictions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match=r"predictions\.csv \(199 rows\) is not about the 200 scans"):
        summarise(study)
