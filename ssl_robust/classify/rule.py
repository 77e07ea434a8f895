"""The written rule by which `train` chooses what protects from wrong labels, from what is estimated of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_robust.files import UserError
from ssl_robust.finetune.history import KEEP
from ssl_robust.settings import choices, defaults

AUTO = "auto"


@dataclass(frozen=True)
class Facts:
    """What is known of a training split without a single true label.

    Attributes:
        rate: estimated share of wrong labels.
        transition: (K, K) T[true, given], estimated.
        counts: (K,) expected number of training scans that truly are of each class.
    """

    rate: float
    transition: np.ndarray
    counts: np.ndarray

    @property
    def n(self) -> int:
        """Training scans."""
        return round(float(self.counts.sum()))

    @property
    def imbalance(self) -> float:
        """How many times larger the largest class is than the smallest."""
        return float(self.counts.max() / max(1.0, self.counts.min()))

    def mistaken(self, classes: Sequence[str]) -> str | None:
        """A sentence on the first class that is labelled as another one more often than as itself: no training helps
        where the labels say nothing; None where there is none."""
        for true, given in enumerate(self.transition.argmax(axis=1)):
            if given != true:
                return (f"scans of {classes[true]} seem to be labelled {classes[given]} more often than "
                        f"{classes[true]}; look at doubts.csv with an expert before anything is trusted")  # fmt: skip
        return None


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        remedy: a name of the node `remedies`.
        why: one sentence.
        strategy: the `strategy` node for the loop.
        keep: the epoch whose classifier is kept, best or last.
    """

    remedy: str
    why: str
    strategy: dict[str, Any]
    keep: str


def choose(facts: Facts, settings: Mapping[str, Any]) -> Choice:
    """Estimated noise -> how to train.

    The rule, whose numbers and their reasons stand in configs/train.yaml:

    1. With fewer than `rule.fewest_scans`: `rule.few`. What is believed of so few labels is hardly more than chance.
    2. Below `rule.noise_from` wrong labels: `rule.few`, unless the largest class has at least `rule.uneven_from` times
       the scans of the smallest. A few wrong labels cost plain cross-entropy next to nothing, and on clean labels
       nothing must be lost; but it forgets rare classes, and under noise they drown first: most labels that name them
       are strays from the large ones.
    3. Else `rule.many`, or with frozen features `rule.many_frozen`. There what is believed of single labels is as good
       as the features are; an encoder that learns becomes better than the features that judged, and would be held
       back, so that it is told of the noise matrix alone.

    Args:
        facts: of the training split.
        settings: the nodes `remedy`, `remedies`, `rule` and `freeze` of configs/train.yaml.

    Raises:
        UserError: `remedy` or the rule names none of the remedies, or a remedy none of the strategies.
    """
    rule = settings["rule"]
    if settings["remedy"] != AUTO:
        return _choice(settings["remedy"], "as remedy= asks", settings, "remedy")
    if facts.n < rule["fewest_scans"]:
        why = f"{facts.n:,} training scans are too few to judge their labels"
        return _choice(rule["few"], why, settings, "rule.few")
    why = f"about {facts.rate:.0%} of the labels are wrong"
    uneven = facts.imbalance >= rule["uneven_from"]
    if uneven:
        why += f", and the largest class is {facts.imbalance:.0f} times as frequent as the smallest"
    elif facts.rate < rule["noise_from"]:
        why += f", fewer than the {rule['noise_from']:.0%} from which a remedy pays"
        return _choice(rule["few"], why, settings, "rule.few")
    option = "many_frozen" if settings["freeze"] else "many"
    return _choice(rule[option], why, settings, f"rule.{option}")


def check_rule(settings: Mapping[str, Any]) -> None:
    """Refuse thresholds and names that cannot be, before any scan is read.

    Args:
        settings: as for `choose`.

    Raises:
        UserError: the first that does not fit.
    """
    rule = settings["rule"]
    for name, low, high in (("noise_from", 0, 1), ("uneven_from", 1, np.inf), ("fewest_scans", 1, np.inf)):
        value = rule[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            expected = "a share from 0 to 1" if high == 1 else "a number from 1 on"
            raise UserError(f"rule.{name}={value} does not fit; expected {expected}")
    for option in ("few", "many", "many_frozen"):
        _choice(rule[option], "", settings, f"rule.{option}")
    if settings["remedy"] != AUTO:
        _choice(settings["remedy"], "", settings, "remedy")


def _choice(remedy: str, why: str, settings: Mapping[str, Any], option: str) -> Choice:
    known = settings["remedies"]
    if remedy not in known:
        auto = [AUTO] if option == "remedy" else []
        raise UserError(f"{option}={remedy} is no remedy; choose one of {', '.join([*auto, *known])}")
    if not isinstance(known[remedy], Mapping):
        raise UserError(f"remedies.{remedy}={known[remedy]} does not fit; expected e.g. {{strategy: cross_entropy}}")
    values = dict(known[remedy])
    name, keep = values.pop("strategy", None), values.pop("keep", None)
    if name not in choices("strategy"):
        raise UserError(f"remedies.{remedy}.strategy={name} does not exist; choose one of "
                        f"{', '.join(choices('strategy'))}")  # fmt: skip
    strategy = defaults("strategy", name)
    if "_target_" not in strategy:
        raise UserError(f"remedies.{remedy}.strategy={name} is told the noise that is made, which nobody knows of real "
                        f"labels; take {name.removesuffix('_oracle')}")  # fmt: skip
    if unknown := sorted(set(values) - set(strategy)):
        raise UserError(f"remedies.{remedy}.{unknown[0]} is no option of strategy={name}; it has "
                        f"{', '.join(key for key in strategy if key != '_target_')}")  # fmt: skip
    if keep not in KEEP:
        raise UserError(f"remedies.{remedy}.keep={keep} does not fit; expected {' or '.join(KEEP)}")
    return Choice(remedy, why, {**strategy, **values}, keep)
