"""A `score` node of the configuration -> its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ssl_robust.audit.evidence import Evidence
from ssl_robust.settings import choices, defaults
from ssl_robust.targets import resolve


def packaged(name: str, neighbors: Mapping[str, Any]) -> dict[str, Any]:
    """The node `score` as the command line has it after `score=NAME`.

    Args:
        name: of a file in configs/score.
        neighbors: the node `neighbors`, whose temperature the votes share.

    Raises:
        ValueError: there is no such score.
    """
    from omegaconf import OmegaConf

    if name not in choices("score"):
        raise ValueError(f"score={name!r} does not exist; expected one of {', '.join(choices('score'))}")
    whole = OmegaConf.create({"neighbors": dict(neighbors), "score": defaults("score", name)})
    resolved: dict[str, Any] = OmegaConf.to_container(whole, resolve=True)  # type: ignore[assignment]
    return resolved["score"]


def score(evidence: Evidence, settings: Mapping[str, Any]) -> np.ndarray:
    """Score all labels.

    Args:
        evidence: N samples.
        settings: `_target_` and the values of a score.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled.

    Raises:
        ValueError: the score lacks something, or a value does not fit.
        UserError: it is no score of ours.
    """
    values = {name: value for name, value in settings.items() if name != "_target_"}
    return resolve("score", settings)(evidence, **values)
