"""Policies compared: known errors, a simulated expert, every answer charged, and what remains after each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
class Known:
    """What samplers see of a set beside its labels.

    Attributes:
        vectors: (N, D).
        groups: (N,) ints from 0 without gaps.
        clusters: (N,) copies share a number, -1 = none.
    """

    vectors: np.ndarray = field(repr=False)
    groups: np.ndarray = field(repr=False)
    clusters: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Trial:
    """A set whose truth is known to the one who measures, and to no sampler.

    Attributes:
        known: what samplers see.
        truth: (N,) ints in [0, K).
        given: (N,) ints, of which some are wrong.
        n_classes: K.
        others_truth: (M,) of the held-out scans.
        probe: of both.
    """

    known: Known = field(repr=False)
    truth: np.ndarray = field(repr=False)
    given: np.ndarray = field(repr=False)
    n_classes: int
    others_truth: np.ndarray = field(repr=False)
    probe: Probe = field(repr=False)

    @classmethod
    def of(
        cls, vectors: np.ndarray, truth: np.ndarray, given: np.ndarray, groups: np.ndarray, clusters: np.ndarray,
        *, pool: np.ndarray, others: np.ndarray, n_classes: int, settings: Mapping[str, Any], seed: int,
    ) -> Trial:  # fmt: skip
        """Arrays of a whole set -> the scans that are relabelled and those that measure.

        Args:
            vectors: (A, D), as are the next four.
            truth: ints.
            given: ints.
            groups: ints.
            clusters: ints.
            pool: rows that are relabelled.
            others: rows with the truth that measure a classifier; none: nothing is measured.
            n_classes: K.
            settings: the node `classifier`, in which it stands by this name.
            seed: of the folds.
        """
        own = np.unique(groups[pool], return_inverse=True)[1]
        copies = clusters[pool]
        copies[copies >= 0] = np.unique(copies[copies >= 0], return_inverse=True)[1]
        probe = Probe.of(vectors[pool], own, settings["classifier"], seed=seed, others=vectors[others])
        known = Known(vectors[pool], own, copies)
        return cls(known, truth[pool], given[pool], n_classes, truth[others], probe)

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
    first: Pool | None = None
    pool: Pool | None = None  # of the last round
    proving: bool = False  # only control scans are asked
    rounds: list[Draws] = field(default_factory=list)
    curve: list[tuple[int, int]] = field(default_factory=list)  # answers charged, labels wrong

    @classmethod
    def begin(cls, trial: Trial, settings: Mapping[str, Any], *, seed: int, first: Pool | None = None) -> Campaign:
        """Nobody has been asked yet; `first` as in `run_policy`."""
        expert = make_expert(settings["expert"], trial.truth, n_classes=trial.n_classes, seed=seed)
        nobody = np.zeros(len(trial), dtype=bool)
        order = np.random.default_rng(seed).permutation(len(trial))
        campaign = cls(trial, settings, expert, order, trial.given.copy(), nobody, nobody.copy(), nobody.copy(), first)
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
        if self.proving:
            scores, control, repeat = np.zeros(len(trial)), 1.0, 0.0
        elif policy == ORACLE:
            scores, control, repeat = (self.labels != trial.truth).astype(np.float64), 0.0, 0.0
        else:
            pool = self.first if self.first is not None and not self.closed.any() else self._pool(n, seed)
            self.pool, scores = pool, score(pool, sampler)
            bare = policy == RANDOM
            control, repeat = (0.0 if bare else self.settings[name] for name in ("control", "repeat"))
        rules = Rules(n, control, repeat, self.settings["class_quota"], per_patient=False, shuffled=False)
        showing = fill_queue(
            scores, rules, closed=self.closed, labels=self.labels, clusters=trial.known.clusters,
            patients=trial.known.groups,
            permutation=self.permutation, seed=seed,
        )  # fmt: skip
        self._answer(showing, budget)

    def _pool(self, wanted: int, seed: int) -> Pool:
        trial, labels, answered = self.trial, self.labels.copy(), self.answered.copy()
        return Pool(
            trial.given, labels, answered, trial.known, trial.n_classes, wanted, seed, self.settings, None, trial.probe
        )

    def believed(self) -> float:
        """Share of wrong labels among those that nobody has read, as the last round's opinion has it; 1 before it."""
        return 1.0 if self.pool is None or self.closed.all() else float(self.pool.wrong[~self.closed].mean())

    def _answer(self, showing: Showing, budget: int) -> None:
        """Ask until the budget is used up."""
        n_open, n_before = int((~self.closed).sum()), self._n_before()
        drawn, n_unsure = [], 0
        wrong = self.curve[-1][1]
        for row, shown in zip(showing.rows.tolist(), showing.shown.tolist(), strict=True):
            if self.expert.charged >= budget:
                break
            answer = self.expert.answer([row])[0]
            self.closed[row] = True
            if shown == "control":
                drawn.append(answer is not None and answer != self.trial.given[row])
                n_unsure += answer is None
            if shown != "repeat":
                self.unsure[row] = answer is None
                self.answered[row] = answer is not None
                wrong -= self.labels[row] != self.trial.truth[row]
                self.labels[row] = self.labels[row] if answer is None else answer
                wrong += self.labels[row] != self.trial.truth[row]
            self.curve.append((self.expert.charged, int(wrong)))
        self.rounds.append(Draws(np.array(drawn, dtype=bool), n_open, n_before, n_unsure))

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
    seed: int, first: Pool | None = None, enough: Callable[[list[dict[str, Any]]], bool] | None = None,
) -> tuple[list[dict[str, Any]], np.ndarray]:  # fmt: skip
    """One policy on one set with one draw of errors.

    Args:
        trial: the set.
        policy: name.
        sampler: its node, `{}` for the oracle.
        settings: the nodes of configs/simulate.yaml.
        budgets: answers after which is measured and a new round begins, ascending.
        seed: of the expert, the control sample and the sampler.
        first: of `first_pool`, shared by policies that are compared; None: what it finds is found again.
        enough: whether to stop after these rows; None: never.

    Returns:
        A row for each budget, one before the first included, and (n, 2) answers charged and labels wrong after each.
    """
    campaign = Campaign.begin(trial, settings, seed=seed, first=first)
    rows = [_measured(campaign, settings["level"])]
    for number, budget in enumerate(budgets, start=1):
        campaign.ask(policy, sampler, budget=budget, seed=seed + number)
        rows.append(_measured(campaign, settings["level"]))
        if enough is not None and enough(rows):
            break
    return [{"policy": policy, "seed": seed, **row} for row in rows], np.array(campaign.curve)


def first_pool(trial: Trial, settings: Mapping[str, Any], *, wanted: int, seed: int) -> Pool:
    """What is known before anybody was asked.

    Args:
        trial: the set.
        settings: as in `run_policy`.
        wanted: the first budget.
        seed: as in `run_policy`.
    """
    nobody = np.zeros(len(trial), dtype=bool)
    known, n_classes = trial.known, trial.n_classes
    return Pool(trial.given, trial.given, nobody, known, n_classes, wanted, seed + 1, settings, probe=trial.probe)


def until(
    trial: Trial, policy: str, sampler: Mapping[str, Any], settings: Mapping[str, Any], *, goal: float, step: int,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """A campaign that goes on until its bound says that it is enough, or until all is read.

    Once the sampler believes that no more than half of `goal` is left, control scans alone are asked: they tell.

    Args:
        trial: as in `run_policy`, as are the next three.
        policy: name.
        sampler: its node.
        settings: nodes.
        goal: share of wrong labels among the remaining ones at which to stop.
        step: answers a round.
        seed: as in `run_policy`.

    Returns:
        `answers` at the end; `most_left`, the bound; `wrong_left`, how many really are; `n_left`; `holds`.
    """
    campaign = Campaign.begin(trial, settings, seed=seed)
    while True:
        left = campaign.remaining(level=settings["level"])
        if left.share <= goal or not left.n:
            break
        charged = campaign.expert.charged
        if not campaign.proving:
            campaign.proving = campaign.believed() <= goal / 2
        campaign.ask(policy, sampler, budget=charged + step, seed=seed + charged)
    still_wrong = int((campaign.labels != trial.truth)[~campaign.closed].sum())
    return {"answers": campaign.expert.charged, "most_left": left.most, "wrong_left": still_wrong, "n_left": left.n,
            "holds": still_wrong <= left.most}  # fmt: skip


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
