"""What is known when the next scans are chosen, and the scores that choose: higher = ask sooner.

A sampler is a file of `relabel/samplers/` with one pure function `score(pool, **values) -> (N,)`, and a file of
`configs/sampler/` with its values. It sees labels as they are now; a true label has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ssl_robust.neighbors import UnitRows
from ssl_robust.noise.opinion import Opinion, form_opinion
from ssl_robust.relabel.probe import Probe
from ssl_robust.targets import resolve


class Scans(Protocol):
    """What does not change while labels do; read when it is asked for."""

    @property
    def vectors(self) -> np.ndarray:
        """(N, D) of an encoder that has seen none of the labels."""
        ...

    @property
    def groups(self) -> np.ndarray:
        """(N,) ints from 0 without gaps; scans of one patient, and copies of a scan, never judge each other."""
        ...

    @property
    def clusters(self) -> np.ndarray:
        """(N,) scans that show one picture share a number from 0, -1 = none."""
        ...


@dataclass(frozen=True)
class Pool:
    """N labelled scans, of which some have been answered. What costs is made when a sampler asks for it, once.

    Attributes:
        labels: (N,) ints in [0, K), answers in place of the labels that they are about.
        answered: (N,) bool.
        scans: the rest of what is known of them.
        n_classes: K.
        wanted: scans that are to be chosen, which spares a sampler that chooses one by one the rest.
        seed: of all that is drawn.
        settings: the nodes `probe`, `noise_model` and `classifier` of configs/relabel.yaml.
        known: (N,) p(wrong) that an audit has found already; None: it is found here.
        probe: a classifier of the same vectors, made before; None: it is made here.
    """

    labels: np.ndarray
    answered: np.ndarray
    scans: Scans = field(repr=False)
    n_classes: int
    wanted: int
    seed: int
    settings: Mapping[str, Any] = field(repr=False)
    known: np.ndarray | None = field(default=None, repr=False)
    probe: Probe | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def vectors(self) -> np.ndarray:
        """(N, D)."""
        return self.scans.vectors

    @cached_property
    def opinion(self) -> Opinion:
        """What is believed of the labels; answered ones are certain."""
        return form_opinion(
            UnitRows(self.vectors, center=True), self.labels, self.scans.groups, n_classes=self.n_classes,
            probe=self.settings["probe"], noise_model=self.settings["noise_model"], seed=self.seed,
            pictures=self.scans.clusters, certain=self.answered,
        )  # fmt: skip

    @cached_property
    def wrong(self) -> np.ndarray:
        """(N,) probability that the label is wrong, 0 where it was answered."""
        if self.known is None:
            return self.opinion.wrong(self.labels)
        return np.where(self.answered, 0.0, self.known)

    @property
    def posterior(self) -> np.ndarray:
        """(N, K) p(true class | scan, label)."""
        return self.opinion.posterior

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(N, K) what a plain classifier says of each scan, fitted to the labels of other patients as they are now."""
        probe = self.probe
        if probe is None:
            probe = Probe.of(self.vectors, self.scans.groups, self.settings["classifier"], seed=self.seed)
        return probe.out_of_fold(self.labels, n_classes=self.n_classes)

    @property
    def sizes(self) -> np.ndarray:
        """(K,) how many scans each class is believed to have, at least one."""
        return np.maximum(self.posterior.sum(axis=0), 1.0)


def score(pool: Pool, settings: Mapping[str, Any]) -> np.ndarray:
    """How much each scan should be asked about.

    Args:
        pool: what is known.
        settings: the node `sampler` of a configuration.

    Returns:
        (N,) finite floats from zero, higher = ask sooner; -1 for scans that were answered.

    Raises:
        UserError: it is no sampler of ours.
    """
    values = {name: value for name, value in settings.items() if name != "_target_"}
    found = np.asarray(resolve("sampler", settings)(pool, **values), dtype=np.float64)
    return np.where(pool.answered, -1.0, found)
