"""Arms of a study against one another: gains with intervals, and who is not shown to be worse than the best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl_robust.metrics import Interval
from ssl_robust.study.draws import Arm, Draws
from ssl_robust.study.measured import CLEAN, is_oracle


class Gain(NamedTuple):
    """A mean of paired differences.

    Attributes:
        interval: of the mean.
        n_pairs: arms that had a partner.
        n_seeds: fewest seeds that a pair shares; from one seed the interval holds patients alone.
    """

    interval: Interval
    n_pairs: int
    n_seeds: int

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval excludes 0 and holds seeds, else `open`."""
        if self.n_seeds < 2 or not (self.interval.low > 0 or self.interval.high < 0):
            return "open"
        return "better" if self.interval.low > 0 else "worse"

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.interval._asdict(), "n_pairs": self.n_pairs, "n_seeds": self.n_seeds, "verdict": self.verdict}


def noisiest(arms: Iterable[Arm]) -> set[tuple[str, str, float]]:
    """(set, noise, rate) at which arms are compared: the highest rate of each kind of noise of each set.

    That of clean labels where a set has nothing else.
    """
    highest: dict[tuple[str, str], float] = {}
    for arm in arms:
        highest[arm.set, arm.noise] = max(arm.rate, highest.get((arm.set, arm.noise), 0.0))
    noisy = {name for name, noise in highest if noise != CLEAN}
    return {(name, noise, rate) for (name, noise), rate in highest.items() if noise != CLEAN or name not in noisy}


def gain(draws: Draws, arms: Iterable[Arm], partner: Callable[[Arm], Arm]) -> Gain | None:
    """Mean over arms of each minus its partner, on the same patients and seeds; None where no arm has one.

    Args:
        draws: of the measure.
        arms: those on the better side, if the difference is above 0.
        partner: what an arm is compared with.
    """
    pairs = [(arm, partner(arm)) for arm in arms]
    pairs = [pair for pair in pairs if draws.seeds(*pair)]
    if not pairs:
        return None
    mean = np.mean([draws.difference(*pair) for pair in pairs], axis=0)
    return Gain(draws.interval(mean), len(pairs), min(len(draws.seeds(*pair)) for pair in pairs))


def marks(draws: Draws, arms: Sequence[Arm]) -> dict[Arm, str]:
    """Each arm -> `best`, `alike` (not shown to be worse than the best), `oracle` or an empty text."""
    rivals = [arm for arm in arms if not is_oracle(arm.strategy)]
    if not rivals:
        return dict.fromkeys(arms, "")
    best = max(rivals, key=lambda arm: draws.mean(arm)[0])
    found = dict.fromkeys(arms, "oracle") | {best: "best"}
    for arm in rivals:
        if arm != best:
            distance = gain(draws, [best], {best: arm}.__getitem__)
            found[arm] = "" if distance and distance.verdict == "better" else "alike"
    return found


def contrast(draws: Draws, first: Mapping[Arm, Arm], second: Mapping[Arm, Arm]) -> Gain | None:
    """How much more one kind of arm gains over its partners than another kind over theirs.

    Args:
        draws: of the measure.
        first: arms and their partners.
        second: those of the other kind.
    """
    sides = [[pair for pair in each.items() if draws.seeds(*pair)] for each in (first, second)]
    if not all(sides):
        return None
    means = [np.mean([draws.difference(*pair) for pair in pairs], axis=0) for pairs in sides]
    seeds = [len(draws.seeds(*pair)) for pairs in sides for pair in pairs]
    return Gain(draws.interval(means[0] - means[1]), len(seeds), min(seeds))
