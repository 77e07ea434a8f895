"""The three questions of a study, answered in sentences that say no more than the intervals do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_robust.study.measured import is_oracle
from ssl_robust.study.words import change, joined, number, percent, plain, reached, spread

_FEW = 5  # strategies of whose numbers a sentence can be made


def answers(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A summary without its answers -> three questions, each with the sentences of one paragraph, and its details."""
    return [
        {"question": "How much does label noise hurt?", "sentences": _hurt(found), "details": _hurt_by_set(found)},
        {"question": "Which sets are hard?", "sentences": _hard(found), "details": []},
        {"question": "What protects?", "sentences": [*_pretraining(found), *_strategies(found)],
         "details": _by_family(found)},
    ]  # fmt: skip


def _hurt(found: Mapping[str, Any]) -> list[str]:
    """Kind by kind the mean over sets."""
    reference = found["reference"]
    if not found["hurt"]:
        return ["No arm has two noise rates yet, so nothing can be said about what noise does."]
    said = [
        f"Told for {plain(reference['strategy'])} from the init {reference['init']}, which the rest is held against."
    ]
    for row in found["hurt"]:
        n = row["n_sets"]
        on = f"on {row['sets'][0]}" if n == 1 else f"on the mean of {n} sets"
        start = f"{plain(row['noise']).capitalize()} noise at its highest rate ({_rates(row['rates'])})"
        if row["n_seeds"] < 2:
            said.append(f"{start} comes with {number(row['estimate'])} less balanced accuracy {on}; one seed, so there "
                        "is no interval over trainings and no claim.")  # fmt: skip
        elif row["low"] > 0:
            said.append(f"{start} takes {spread(row)} of balanced accuracy {on}.")
        else:
            said.append(f"{start} is not shown to cost balanced accuracy {on}: the loss is {spread(row)}.")
    return said + _last(found)


def _rates(rates: Sequence[float]) -> str:
    ends = [percent(each) for each in (min(rates), max(rates))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _hurt_by_set(found: Mapping[str, Any]) -> list[str]:
    said = []
    for row in _of_reference(found):
        at = f"{row['set']}, {percent(row['highest'])} {plain(row['noise'])}"
        rate = _rate(row, found["share_of_clean"])
        only = " (one seed: patients only)" if row["n_seeds"] < 2 else ""
        said.append(f"{at}: {spread(row['lost'])} lost, {spread(row['drop_per_ten'])} with every 10 points{rate}{only}")
    return said


def _rate(row: Mapping[str, Any], share: float) -> str:
    at = row["rate_at"]
    if not at:
        return ""
    return f"; {percent(share)} of what clean labels give is left at {reached(at, row['highest'])}"


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
    said.append(
        f"By balanced accuracy on clean labels, what chance gives taken off, the hardest comes first: {joined(told)}."
    )
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
        by_chance = percent(rows[0]["smallest_p"])
        said.append(f"With {rows[0]['n_sets']} sets even a perfect order comes by chance in {by_chance} of cases; the "
                    "intervals hold patients and seeds, not the choice of sets.")  # fmt: skip
    return said


def _pretraining(found: Mapping[str, Any]) -> list[str]:
    protection, init = found["protection"], found["reference"]["init"]
    if not protection["families"]:
        return ["There is one init, so nothing can be said about pretraining."]
    said = []
    for verdict, words in (("better", "gain over"), ("worse", "lose to")):
        told = [f"{row['family']} {change(row['gain'])}" for row in protection["families"]
                if row["gain"]["verdict"] == verdict]  # fmt: skip
        if told:
            said.append(f"At the highest rates these {words} the init {init}: {joined(told)}.")
    unclear = [row for row in protection["families"] if row["gain"]["verdict"] == "open"]
    if unclear:
        why = _one_seed([row["gain"] for row in unclear])
        told = [f"{row['family']} {change(row['gain'])}" for row in unclear]
        said.append(f"At the highest rates not shown to differ from the init {init}{why}: {joined(told)}.")
    clear = [row for row in protection["between"] if row["verdict"] == "better"]
    told = [f"{row['first']} more than {row['second']} by {change(row)}" for row in clear]
    if told:
        said.append(f"Between kinds of pretraining: {joined(told)}.")
    elif protection["between"]:
        said.append("No kind of pretraining is shown to protect more than another.")
    return said


def _by_family(found: Mapping[str, Any]) -> list[str]:
    """How much smaller the loss from clean labels is: who is better on clean labels, too, gains without protecting."""
    said = []
    for row in found["protection"]["families"]:
        if less := row["less_lost"]:
            unclear = ", not shown to differ from 0" if less["verdict"] == "open" else ""
            inits = ", ".join(row["inits"])
            said.append(f"{row['family']} ({inits}): the loss from clean labels is smaller by {change(less)}{unclear}")
    return said


def _strategies(found: Mapping[str, Any]) -> list[str]:
    reference = plain(found["reference"]["strategy"])
    rows = sorted((row for row in found["strategy_gains"] if row["set"] is None), key=lambda row: -row["estimate"])
    if not rows:
        return ["There is one strategy, so nothing can be said about strategies."]
    oracles = [row for row in rows if is_oracle(row["strategy"])]
    rows, said = [row for row in rows if row not in oracles], []
    for verdict, words in (("better", "gain"), ("worse", "lose")):
        told = [f"{plain(row['strategy'])} {change(row)}" for row in rows if row["verdict"] == verdict]
        if told:
            said.append(f"From the same encoder these {words} over {reference}: {joined(told)}.")
    unclear = [row for row in rows if row["verdict"] == "open"]
    if unclear:
        few = len(unclear) <= _FEW
        told = [plain(row["strategy"]) + (f" {change(row)}" if few else "") for row in unclear]
        where = "" if few else ", by the intervals in the table of gains"
        said.append(f"Not shown to differ from {reference}{_one_seed(unclear)}{where}: {joined(told)}.")
    if oracles:
        told = [f"{plain(row['strategy'])} {change(row)}" for row in oracles]
        said.append(f"Told of the truth what nobody knows, and so no rivals: {joined(told)}.")
    if len(rows) > 1:
        said.append("Each interval stands for itself: of many, some exclude 0 by chance.")
    return said


def _one_seed(gains: Sequence[Mapping[str, Any]]) -> str:
    return " (one seed: no claim)" if min(each["n_seeds"] for each in gains) < 2 else ""


def _of_reference(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found["robustness"] if _is_reference(row, found)]


def _is_reference(row: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(row[axis] == found["reference"][axis] for axis in ("init", "strategy"))
