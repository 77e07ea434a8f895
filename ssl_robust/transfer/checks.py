"""What settings of a probe would fail late, for the command line and the Python API alike."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from ssl_robust.transfer.protocols import few_name


def mistake_in(settings: Mapping[str, Any]) -> str | None:
    """The first value that does not fit, in a sentence; None where all do.

    Args:
        settings: those of configs/probe.yaml; `batch_size` may be missing.
    """
    bootstrap, knn = settings["bootstrap"], settings["knn"]
    for name, value in (("knn.k", knn["k"]), ("few_draws", settings["few_draws"]),
                        ("batch_size", settings.get("batch_size", 1)),
                        ("bootstrap.n_resamples", bootstrap["n_resamples"])):  # fmt: skip
        if not isinstance(value, Integral) or value <= 0:
            return f"{name}={value} is no positive whole number; give at least 1"
    if knn["temperature"] <= 0:
        return f"knn.temperature={knn['temperature']} is not positive; give a number above zero"
    if not 0 < bootstrap["level"] < 1:
        return f"bootstrap.level={bootstrap['level']} does not fit; expected a share, e.g. 0.95"
    return _mistake_in_shares(settings["few_labels"])


def _mistake_in_shares(shares: Any) -> str | None:
    expected = "expected shares between 0 and 1, e.g. 'few_labels=[0.01,0.1]'"  # a shell may read brackets
    if not isinstance(shares, (list, tuple)):
        return f"few_labels={shares} is no list; {expected}"
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 < float(share) < 1:
            return f"few_labels holds {share}; {expected}"
    if len({few_name(share) for share in shares}) < len(shares):
        return f"few_labels={shares} names a share twice; name each once"
    return None
