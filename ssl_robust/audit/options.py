"""Options of an audit that cannot be, said before anything is read."""

from __future__ import annotations

from typing import Any

from ssl_robust import neighbors
from ssl_robust.audit.against import check_options
from ssl_robust.audit.gate import check_limit
from ssl_robust.data.audit_table import check_kind
from ssl_robust.run import UserError

_SHARES = (("bootstrap", "level"), ("estimate", "level"), ("noise_model", "common"), ("patients", "share"))
_COUNTS = (
    ("bootstrap", "n_resamples"), ("estimate", "n_resamples"), ("estimate", "drawn_from"), ("probe", "folds"),
    ("probe", "coordinates"), ("probe", "landmarks"), ("probe", "fitted_on"), ("duplicates", "n_neighbors"),
)  # fmt: skip


def check_settings(settings: dict[str, Any]) -> None:
    """Refuse what no audit can have.

    Args:
        settings: of the stage.

    Raises:
        UserError: the first such option.
    """
    for name, value in (("neighbors.k", settings["neighbors"]["k"]),
                        ("neighbors.temperature", settings["neighbors"]["temperature"]),
                        ("batch_size", settings["batch_size"])):  # fmt: skip
        if value <= 0:
            raise UserError(f"{name}={value} is not positive; give a number above zero")
    _check_search(settings["neighbors"])
    check_options(settings)
    check_kind(settings["table"])
    check_limit(settings["fail_above"])
    for name in ("n_suspects", "n_neighbors"):
        if settings[name] < 0:
            raise UserError(f"{name}={settings[name]} is negative; give a number from zero")
    counts = [(f"{node}.{name}", settings[node][name]) for node, name in _COUNTS]
    for name, value in [*counts, ("reference_sample", settings["reference_sample"])]:
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{name}={value} does not fit; give a whole number from 1")
    for node, name in _SHARES:
        if not 0 < settings[node][name] < 1:
            raise UserError(f"{node}.{name}={settings[node][name]} does not fit; expected a share, e.g. 0.9")
    for name in ("penalties", "penalties_again"):
        values = settings["probe"][name]
        if len(values) != 2 or not all(value > 0 for value in values):
            raise UserError(f"probe.{name}={values} does not fit; give two numbers above zero")


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
