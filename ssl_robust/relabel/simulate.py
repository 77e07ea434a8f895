"""Policies compared: known errors, a simulated expert, every answer charged, and what remains after each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssl_robust import metrics
from ssl_robust.relabel.control import Draws, Remaining, remaining
from ssl_robust.relabel.experts import Expert, make_expert
from ssl_robust.relabel.probe import Probe
from ssl_robust.relabel.queue import Rules, Showing, fill_queue
from ssl_robust.relabel.sampler import Pool, score

ORACLE, RANDOM = "oracle", "random"  # bounds: they take no control sample, which would be random or wasted


@dataclass(frozen=True)
class Trial:
    """A set whose truth is known to the one who measures, and to no sampler.

    Attributes:
        vectors: (N, D).
        groups: (N,) ints from 0 without gaps.
        clusters: (N,) copies share a number, -1 = none.
        truth: (N,) ints in [0, K).
        given: (N,) ints, of which some are wrong.
        n_classes: K.
        others_truth: (M,) of the held-out scans.
        probe: of both.
    """

    vectors: np.ndarray = field(repr=False)
    groups: np.ndarray = field(repr=False)
    clusters: np.ndarray = field(repr=False)
    truth: np.ndarray = field(repr=False)
    given: np.ndarray = field(repr=False)
    n_classes: int
    others_truth: np.ndarray = field(repr=False)
    probe: Probe = field(repr=False)

    def __len__(self) -> int:
        return len(self.truth)

    def quality(self, labels: np.ndarray) -> tuple[float, float]:
        """Balanced accuracy and worst-class recall on the held-out scans of a classifier fitted to `labels`."""
        if not len(self.others_truth):
            return np.nan, np.nan
        predicted = self.probe.held_out(labels, n_classes=self.n_classes).argmax(axis=1)
        recalls = metrics.class_recalls(self.others_truth, predicted, n_classes=self.n_classes)
        return float(np.nanmean(recalls)), float(np.nanmin(recalls))


@dataclass
class Campaign:
    """A simulated campaign while it runs."""

    trial: Trial
    settings: Mapping[str, Any]
    expert: Expert
    permutation: np.ndarray
    labels: np.ndarray
    answered: np.ndarray
    unsure: np.ndarray
    closed: np.ndarray
    rounds: list[Draws] = field(default_factory=list)
    curve: list[tuple[int, int]] = field(default_factory=list)  # answers charged, labels wrong

    @classmethod
    def begin(cls, trial: Trial, settings: Mapping[str, Any], *, seed: int) -> Campaign:
        """Nobody has been asked yet."""
        expert = make_expert(settings["expert"], trial.truth, n_classes=trial.n_classes, seed=seed)
        nothing = np.zeros((3, len(trial)), dtype=bool)
        order = np.random.default_rng(seed).permutation(len(trial))
        campaign = cls(trial, settings, expert, order, trial.given.copy(), *nothing)
        campaign.curve.append((0, int((trial.given != trial.truth).sum())))
        return campaign

    def ask(self, policy: str, sampler: Mapping[str, Any], *, budget: int, seed: int) -> None:
        """One round: as many answers as are left of the budget.

        Args:
            policy: name; the oracle's order follows the truth.
            sampler: node of the configuration.
            budget: answers charged by its end, in all.
            seed: of what is drawn.
        """
        n = budget - self.expert.charged
        if n <= 0 or self.closed.all():
            return
        trial = self.trial
        pool = Pool(self.labels, self.answered, trial, trial.n_classes, n, seed, self.settings, probe=trial.probe)
        scores = self._oracle() if policy == ORACLE else score(pool, sampler)
        bare = policy in (ORACLE, RANDOM)
        rules = Rules(n, *(0.0 if bare else self.settings[name] for name in ("control", "repeat")),
                      self.settings["class_quota"], per_patient=False, shuffled=False)  # fmt: skip
        showing = fill_queue(
            scores, rules, closed=self.closed, labels=self.labels, clusters=trial.clusters, patients=trial.groups,
            permutation=self.permutation, seed=seed,
        )  # fmt: skip
        self._answer(showing, budget)

    def _oracle(self) -> np.ndarray:
        return (self.labels != self.trial.truth).astype(np.float64)

    def _answer(self, showing: Showing, budget: int) -> None:
        """Ask until the budget is used up."""
        n_open, n_before = int((~self.closed).sum()), self._n_before()
        drawn = []
        wrong = self.curve[-1][1]
        for row, shown in zip(showing.rows.tolist(), showing.shown.tolist(), strict=True):
            if self.expert.charged >= budget:
                break
            answer = self.expert.answer([row])[0]
            self.closed[row] = True
            if shown == "control":
                drawn.append(answer is not None and answer != self.trial.given[row])
            if shown != "repeat":
                self.unsure[row] = answer is None
                self.answered[row] = answer is not None
                wrong -= self.labels[row] != self.trial.truth[row]
                self.labels[row] = self.labels[row] if answer is None else answer
                wrong += self.labels[row] != self.trial.truth[row]
            self.curve.append((self.expert.charged, int(wrong)))
        self.rounds.append(Draws(np.array(drawn, dtype=bool), n_open, n_before))

    def _n_before(self) -> int:
        return int((self.labels != self.trial.given)[self.closed].sum())

    def remaining(self, *, level: float) -> Remaining:
        """What the control draws say is left."""
        known = self.closed[self.permutation]
        m = len(known) if known.all() else int(known.argmin())
        changed = self.labels != self.trial.given
        return remaining(
            self.rounds, changed[self.permutation[:m]], n=len(self.trial), n_answered=int(self.closed.sum()),
            n_found=int(changed.sum()), p_wrong=None, level=level,
        )  # fmt: skip


def run_policy(
    trial: Trial, policy: str, sampler: Mapping[str, Any], settings: Mapping[str, Any], *, budgets: Sequence[int],
    seed: int,
) -> tuple[list[dict[str, Any]], np.ndarray]:  # fmt: skip
    """One policy on one set with one draw of errors.

    Args:
        trial: the set.
        policy: name.
        sampler: its node, `{}` for the oracle.
        settings: the nodes of configs/simulate.yaml.
        budgets: answers after which is measured and a new round begins, ascending.
        seed: of the expert, the control sample and the sampler.

    Returns:
        A row for each budget, one before the first included, and (n, 2) answers charged and labels wrong after each.
    """
    campaign = Campaign.begin(trial, settings, seed=seed)
    rows = [_measured(campaign, settings["level"])]
    for number, budget in enumerate(budgets, start=1):
        campaign.ask(policy, sampler, budget=budget, seed=seed + number)
        rows.append(_measured(campaign, settings["level"]))
    return [{"policy": policy, "seed": seed, **row} for row in rows], np.array(campaign.curve)


def _measured(campaign: Campaign, level: float) -> dict[str, Any]:
    trial = campaign.trial
    balanced, worst = trial.quality(campaign.labels)
    left = campaign.remaining(level=level)
    still_wrong = int((campaign.labels != trial.truth)[~campaign.closed].sum())
    return {
        "answers": campaign.expert.charged, "share": campaign.expert.charged / len(trial),
        "noise": campaign.curve[-1][1] / len(trial), "balanced_accuracy": balanced, "worst_class_recall": worst,
        "n_left": left.n, "wrong_left": still_wrong, "most_left": left.most,
    }  # fmt: skip


def answers_to_halve(curve: np.ndarray) -> float:
    """(n, 2) answers and labels wrong -> answers until half of the errors are gone; NaN: never."""
    reached = curve[:, 1] <= curve[0, 1] / 2
    return float(curve[int(reached.argmax()), 0]) if reached.any() else np.nan


def answers_to_reach(answers: np.ndarray, values: np.ndarray, goal: float) -> float:
    """The answers at which a curve first passes a goal, straight between its points; NaN: never.

    Args:
        answers: (n,) ascending.
        values: (n,).
        goal: value to reach.
    """
    reached = values >= goal
    if not reached.any():
        return np.nan
    at = int(reached.argmax())
    if at == 0:
        return float(answers[0])
    step = (goal - values[at - 1]) / (values[at] - values[at - 1])
    return float(answers[at - 1] + step * (answers[at] - answers[at - 1]))
