"""Curves of a run in TensorBoard, Weights & Biases or MLflow, through Lightning; `metrics.csv` is written in any case.

Only numbers and hyperparameters go there: no path, no id, no name of a file. Nothing leaves the machine unless the
configuration says so.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.fabric.loggers.logger import Logger
from lightning.fabric.utilities.rank_zero import rank_zero_only

from ssl_robust.run import UserError
from ssl_robust.targets import check_targets

# Nodes of a configuration that hold hyperparameters; what is not named here is not sent.
_SENT = ("seed", "encoder", "encoder_args", "method", "strategy", "noise", "views", "crop", "optim", "trainer",
         "monitor", "freeze", "encoder_lr_scale")  # fmt: skip
_GIVEN_UP = object()
_SENT_OF_DATA = ("image_size", "channels", "resize", "split", "fractions", "split_seed", "long_tail",
                 "long_tail_seed")  # fmt: skip
# What these libraries report about their users by themselves; a value that is set already is left alone.
_SILENCE = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


def make_loggers(settings: Mapping[str, Any] | None, out: str | Path, config: Mapping[str, Any]) -> list[Logger]:
    """The loggers of a run for Fabric: none, or one that `logger=` names.

    Args:
        settings: the `logger` node of the configuration, None where there is none.
        out: the run directory, by whose name Lightning knows the logger.
        config: the resolved configuration.

    Raises:
        UserError: the library is not installed, or a `_target_` is not one of `configs/logger/`.
    """
    if not settings:
        return []
    check_targets({"logger": settings})  # as Lightning's classes are made by Hydra, which would follow inner ones, too
    package = settings["_target_"].rpartition(".")[2].removesuffix("Logger").lower()
    if importlib.util.find_spec(package) is None:
        remedy = f'`pip install "ssl-robust[{package}]"`'
        raise UserError(f"logger={package} needs {package}, which is not installed; {remedy}")
    return [RowLogger(settings, Path(out).name, dict(hyperparameters(config)))]


def hyperparameters(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted options and their values that are neither paths nor about the data's origin.

    Args:
        config: the resolved configuration.
    """
    data = {name: config.get("data", {}).get(name) for name in _SENT_OF_DATA}
    for name, value in _flat({**{name: config.get(name) for name in _SENT}, "data": data}):
        if value is not None and not (isinstance(value, str) and any(each in value for each in "/\\")):
            yield name, value


class RowLogger(Logger):
    """A logger of Lightning that is made with its first row: until then nothing is written and nobody is asked.

    Args:
        settings: `_target_` and the arguments of Lightning's class.
        name: of the run.
        sent: hyperparameters.
    """

    def __init__(self, settings: Mapping[str, Any], name: str, sent: Mapping[str, Any]) -> None:
        super().__init__()
        self._settings, self._name, self._sent = dict(settings), name, dict(sent)
        self._inner: Any = None

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._name

    @property
    def version(self) -> None:
        """None: a run has one folder."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Pass the numbers of a row of metrics.csv on."""
        if self._inner is None:
            for variable, value in _SILENCE.items():
                os.environ.setdefault(variable, value)
            self._inner = instantiate(self._settings, _convert_="all")
            self.log_hyperparams(self._sent)
        if self._inner is _GIVEN_UP:
            return
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}
        try:
            self._inner.log_metrics({name: value for name, value in numbers.items() if math.isfinite(value)}, step=step)
            self._inner.save()
        except Exception as error:  # a server that cannot be reached must not end a training
            print(
                f"Note: the curves go to metrics.csv alone from here on ({type(error).__name__}: {error})", flush=True
            )
            self._inner = _GIVEN_UP

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        """Pass hyperparameters on."""
        self._inner.log_hyperparams(dict(params))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close what is open, so that the next run of a sweep gets a place of its own.

        Args:
            status: "success" or "failed".
        """
        if self._inner in (None, _GIVEN_UP):
            return
        self._inner.finalize(status)
        finish = getattr(self._inner.experiment, "finish", None)  # W&B's
        if callable(finish):
            finish()
        self._inner = None


@contextlib.contextmanager
def closing(loggers: Sequence[Logger]) -> Iterator[None]:
    """Close the loggers after the training that stands inside, however it ends."""
    status = "failed"
    try:
        yield
        status = "success"
    finally:
        for logger in loggers:
            logger.finalize(status)


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, values if isinstance(values, (int, float, bool, type(None))) else str(values)
