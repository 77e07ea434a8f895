"""Options of an audit that cannot be, said before anything is read."""

from __future__ import annotations

from typing import Any

from ssl_robust import neighbors
from ssl_robust.audit.against import check_options
from ssl_robust.audit.gate import check_limit
from ssl_robust.data.audit_table import check_kind
from ssl_robust.run import UserError

# From which number on an option makes sense, by what kind of number it is.
_WHOLE = {
    "batch_size": 1, "neighbors.k": 1, "n_suspects": 0, "n_neighbors": 0, "reference_sample": 1,
    "probe.folds": 2, "probe.coordinates": 1, "probe.landmarks": 1, "probe.fitted_on": 1, "probe.rounds": 0,
    "noise_model.anchors.fewest": 1, "noise_model.steps": 1, "noise_model.steps_again": 1,
    "estimate.n_resamples": 1, "estimate.drawn_from": 1, "estimate.fewest_labels": 1, "estimate.fewest_groups": 1,
    "estimate.fewest_patients": 1, "bootstrap.n_resamples": 1, "duplicates.n_neighbors": 1, "duplicates.spare": 0,
}  # fmt: skip
_FROM_ZERO = (
    "probe.gamma", "noise_model.price", "noise_model.pull_sharpness", "noise_model.pull_shift",
    "noise_model.anchors.deviations", "outliers.limit",
)  # fmt: skip
_ABOVE_ZERO = ("neighbors.temperature", "score.temperature", "noise_model.spread", "noise_model.small")
_SHARES = (
    "bootstrap.level", "estimate.level", "noise_model.common", "noise_model.anchors.share", "patients.share",
    "patients.likely",
)  # fmt: skip


def check_settings(settings: dict[str, Any]) -> None:
    """Refuse what no audit can have.

    Args:
        settings: of the stage.

    Raises:
        UserError: the first such option.
    """
    _check_search(settings["neighbors"])
    check_options(settings)
    check_kind(settings["table"])
    check_limit(settings["fail_above"])
    _check_numbers(settings)
    for name in ("penalties", "penalties_again"):
        values = settings["probe"][name]
        if len(values) != 2 or not all(_is_number(value) and value > 0 for value in values):
            raise UserError(f"probe.{name}={values} does not fit; give two numbers above zero")


def _check_numbers(settings: dict[str, Any]) -> None:
    """The tables above."""
    for name, least in _WHOLE.items():
        value = _of(settings, name)
        if not isinstance(value, int) or value < least:
            what = ("is negative", "is not positive", "is too small")[least]
            raise UserError(f"{name}={value} {what}; give a whole number from {least}")
    for names, fits, what, expected in (
        (_FROM_ZERO, lambda value: value >= 0, "is negative", "a number from zero"),
        (_ABOVE_ZERO, lambda value: value > 0, "is not positive", "a number above zero"),
        (_SHARES, lambda value: 0 < value < 1, "is no share", "a number between zero and one, e.g. 0.9"),
    ):
        for name in names:
            value = _of(settings, name)
            if value is not None and not (_is_number(value) and fits(value)):
                raise UserError(f"{name}={value} {what if _is_number(value) else 'is no number'}; give {expected}")


def _of(settings: dict[str, Any], name: str) -> Any:
    """What stands at a name with dots; None where a score has no such value."""
    *nodes, last = name.split(".")
    for node in nodes:
        settings = settings[node]
    return settings.get(last)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_search(chosen: dict[str, Any]) -> None:
    if chosen["index"] not in neighbors.INDEXES:
        *others, last = neighbors.INDEXES
        expected = f"{', '.join(others)} or {last}"
        raise UserError(f"neighbors.index={chosen['index']} is not known; expected {expected}")
    if not 0 < chosen["recall"] <= 1:
        raise UserError(f"neighbors.recall={chosen['recall']} does not fit; expected a share above 0, e.g. 0.95")
    for name, value in (("products_per_second", chosen["products_per_second"]),
                        *((f"ivf.{name}", value) for name, value in chosen["ivf"].items())):  # fmt: skip
        if value <= 0:
            raise UserError(f"neighbors.{name}={value} is not positive; give a number above zero")
        if name.startswith("ivf.") and name != "ivf.cells_per_root" and not isinstance(value, int):
            raise UserError(f"neighbors.{name}={value} does not fit; expected a whole number")
