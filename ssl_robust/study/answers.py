"""The three questions of a study, answered in sentences that say no more than the intervals do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_robust.study.words import change, joined, number, percent, plain, reached, spread


def answers(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A summary without its answers -> three questions, each with the sentences of one paragraph."""
    return [
        {"question": "How much does label noise hurt?", "sentences": _hurt(found)},
        {"question": "Which sets are hard?", "sentences": _hard(found)},
        {"question": "What protects?", "sentences": [*_pretraining(found), *_strategies(found)]},
    ]


def _hurt(found: Mapping[str, Any]) -> list[str]:
    reference = found["reference"]
    mine = _of_reference(found)
    if not mine:
        return ["No arm has two noise rates yet, so nothing can be said about what noise does."]
    said = [f"Measured with {plain(reference['strategy'])} from the init {reference['init']}, which is what the rest "
            "is held against."]  # fmt: skip
    for row in mine:
        start = f"{row['set']}: {percent(row['highest'])} {plain(row['noise'])} noise"
        lost, per_ten = row["lost"], row["drop_per_ten"]
        if row["n_seeds"] < 2:
            said.append(f"{start} comes with {number(lost['estimate'])} less balanced accuracy; one seed, so there is "
                        "no interval over trainings and no claim.")  # fmt: skip
        elif lost["low"] > 0:
            said.append(f"{start} takes {spread(lost)} of balanced accuracy, {spread(per_ten)} with every 10 points"
                        f"{_rate(row, found['share_of_clean'])}.")  # fmt: skip
        else:
            said.append(f"{start} is not shown to cost balanced accuracy: the loss is {spread(lost)}.")
    return said + _last(found)


def _rate(row: Mapping[str, Any], share: float) -> str:
    at = row["rate_at"]
    if not at:
        return ""
    return f"; {percent(share)} of what it has on clean labels is left at {reached(at, row['highest'])}"


def _last(found: Mapping[str, Any]) -> list[str]:
    """How much more is lost where nobody chooses the epoch."""
    rows = [row for row in found["robustness_last"] if _is_reference(row, found)]
    rows = [row for row in rows if row["n_seeds"] > 1]
    if not rows:
        return []
    worst = max(rows, key=lambda row: row["lost"]["estimate"])
    return [f"Without a choice of the epoch (LAST) the largest loss is {spread(worst['lost'])}, on {worst['set']} with "
            f"{percent(worst['highest'])} {plain(worst['noise'])} noise."]  # fmt: skip


def _hard(found: Mapping[str, Any]) -> list[str]:
    sets = found["sets"]
    if not sets:
        return ["No set has an arm on clean labels yet, so none can be called hard."]
    said = []
    by_chance = sorted(sets, key=lambda row: row["above_chance"]["estimate"])
    told = [f"{row['set']} {number(row['clean']['estimate'])} of {row['n_classes']} classes "
            f"({number(row['clean']['low'])} to {number(row['clean']['high'])})" for row in by_chance]  # fmt: skip
    said.append(f"By balanced accuracy on clean labels, what chance gives taken off, the hardest comes first: {joined(told)}.")
    kept = sorted((row for row in sets if row["kept"]), key=lambda row: row["kept"]["estimate"])
    if kept:
        told = [f"{row['set']} {_share(row['kept'])}" for row in kept]
        said.append(f"Of its clean accuracy is left at the highest rates, least first: {joined(told)}.")
    if any(row["n_seeds"] < 2 for row in sets):
        said.append("Sets with one seed have an interval over patients only.")
    return said + _prediction(found["prediction"], len(kept))


def _share(interval: Mapping[str, float]) -> str:
    low, high = percent(interval["low"]), percent(interval["high"])
    return f"{percent(interval['estimate'])} ({low} to {high})" if low != "–" else percent(interval["estimate"])


def _prediction(rows: Sequence[Mapping[str, Any]], n_sets: int) -> list[str]:
    if not rows:
        few = "" if n_sets >= 3 else f" with {n_sets} of the three sets that it takes"
        return [f"Whether separable classes predict robustness cannot be said{few or ' without difficulty.csv'}."]
    said = []
    for row in rows:
        sign = row["rho"]
        held = f"rank correlation over {row['n_sets']} sets {change(sign)}"
        if row["n_seeds"] > 1 and sign["low"] > 0 and row["smallest_p"] <= 0.05:
            said.append(f"{row['title']} goes along with robustness ({held}).")
        elif row["n_seeds"] > 1 and sign["high"] < 0 and row["smallest_p"] <= 0.05:
            said.append(f"{row['title']} goes against robustness ({held}).")
        else:
            said.append(f"{row['title']} is not shown to predict robustness ({held}).")
    if rows[0]["smallest_p"] > 0.01:
        said.append(f"With {rows[0]['n_sets']} sets even a perfect order comes by chance in {percent(rows[0]['smallest_p'])} "
                    "of cases; the intervals hold patients and seeds, not the choice of sets.")  # fmt: skip
    return said


def _pretraining(found: Mapping[str, Any]) -> list[str]:
    protection, init = found["protection"], found["reference"]["init"]
    if not protection["families"]:
        return ["There is one init, so nothing can be said about pretraining."]
    said = [f"At the highest rates, against the init {init}:"]
    for row in protection["families"]:
        less = f", and its loss from clean labels is smaller by {change(row['less_lost'])}" if row["less_lost"] else ""
        said.append(f"{row['family']} ({', '.join(row['inits'])}) {_verdict(row['gain'])}{less}.")
    clear = [row for row in protection["between"] if row["verdict"] == "better"]
    told = [f"{row['first']} more than {row['second']} by {change(row)}" for row in clear]
    if told:
        said.append(f"Between kinds of pretraining: {joined(told)}.")
    elif protection["between"]:
        said.append("No kind of pretraining is shown to protect more than another.")
    return said


def _strategies(found: Mapping[str, Any]) -> list[str]:
    reference = plain(found["reference"]["strategy"])
    rows = sorted((row for row in found["strategy_gains"] if row["set"] is None), key=lambda row: -row["estimate"])
    if not rows:
        return ["There is one strategy, so nothing can be said about strategies."]
    said = []
    for verdict, words in (("better", "gain"), ("worse", "lose")):
        told = [f"{plain(row['strategy'])} {change(row)}" for row in rows if row["verdict"] == verdict]
        if told:
            said.append(f"From the same encoder these {words} over {reference}: {joined(told)}.")
    unclear = [row for row in rows if row["verdict"] == "open"]
    if unclear:
        told = [f"{plain(row['strategy'])} {change(row)}" for row in unclear]
        why = " (one seed: no claim)" if min(row["n_seeds"] for row in unclear) < 2 else ""
        said.append(f"Not shown to differ from {reference}{why}: {joined(told)}.")
    if len(rows) > 1:
        said.append("Each interval stands for itself: of many, some exclude 0 by chance.")
    return said


def _verdict(gain: Mapping[str, Any]) -> str:
    if gain["verdict"] == "open":
        why = "one seed, no claim" if gain["n_seeds"] < 2 else "the interval holds 0"
        return f"is not shown to differ, {change(gain)}; {why}"
    return f"{'gains' if gain['verdict'] == 'better' else 'loses'} {change(gain)}"


def _of_reference(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found["robustness"] if _is_reference(row, found)]


def _is_reference(row: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(row[axis] == found["reference"][axis] for axis in ("init", "strategy"))
