"""What pretraining refuses, or has to say, before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import torch

from ssl_robust import processes
from ssl_robust.data.views import Views
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import fitting_views
from ssl_robust.pretrain.selection import check_selection
from ssl_robust.run import Run, UserError, read_run

_LEAST = {
    "trainer.max_epochs": 1,
    "trainer.batch_size": 2,  # batch normalisation cannot take a scan that is alone in its batch
    "trainer.accumulate": 1,
    "monitor.reference": 0,  # no vote then
    "monitor.queries": 2,
    "monitor.k": 1,
    "monitor.lidar.scans": 2,
    "monitor.lidar.views": 2,  # how views of one scan vary cannot be seen in one
}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what would fail late, before any scan is read.

    Args:
        settings: the resolved configuration.

    Raises:
        UserError: an option does not fit, or `out` is taken.
    """
    if "split" not in settings["data"]:  # vectors
        raise UserError("data=embeddings is for the audit, pretraining needs scans; give data=folder, csv or npz")
    for name, least in _LEAST.items():
        value = reduce(getitem, name.split("."), settings)
        if not isinstance(value, int) or value < least:
            raise UserError(f"{name}={value} does not fit; expected a whole number, at least {least}")
    minutes = settings["trainer"]["checkpoint_minutes"]
    if not isinstance(minutes, int | float) or minutes <= 0:
        raise UserError(f"trainer.checkpoint_minutes={minutes} does not fit; expected a number of minutes, e.g. 10")
    if settings["data"]["split"] not in ("train", "val", "test", "all"):
        raise UserError(f"data.split={settings['data']['split']} is unknown; expected train or all")
    every = settings["monitor"]["every"]
    if every != "auto" and (not isinstance(every, int) or every < 1):
        raise UserError(f"monitor.every={every} does not fit; expected auto or a whole number above 0")
    check_selection(settings["monitor"])
    out = Path(settings["out"])
    if out.is_dir() and any(out.iterdir()) and not (settings["resume"] or settings["overwrite"]):
        # The run directory says which run is there; it is asked early, since reading the scans may take long.
        Run(out, stage="pretrain", config=settings)


def n_devices(trainer: Mapping[str, Any]) -> int | str | None:
    """Processes on this machine, "auto" for one per GPU, None for this one alone.

    Args:
        trainer: that node of the configuration.

    Raises:
        UserError: several processes were started for a run of one.
    """
    strategy = trainer.get("strategy")
    if strategy not in (None, "ddp"):
        raise UserError(f"trainer.strategy={strategy} is unknown; it is ddp, or left out")
    if strategy is None and processes.count() > 1:
        raise UserError(f"{processes.count()} processes were started, which need trainer=ddp to work together")
    return trainer["devices"] if strategy else None


def say_if_rescaled(out: Path, n_processes: int) -> None:
    """A note where a run goes on with another number of processes than it was started with."""
    before = read_run(out).get("n_processes", 1) if (out / "run.json").is_file() else n_processes
    if before != n_processes:
        print(f"Note: {out} was started with {before} processes and goes on with {n_processes}: the same batches, but "
              "other random views than an uninterrupted run", flush=True)  # fmt: skip


def say_replaced_views(settings: Mapping[str, Any]) -> None:
    """A note where the method takes other views than asked for, so that nobody looks for what is switched off.

    Args:
        settings: the resolved configuration.
    """
    wanted = _flat(settings["views"], "views.")
    taken = _flat(fitting_views(settings["method"], settings["views"]), "views.")
    replaced = [f"{name}={taken[name]} in place of {wanted[name]}" for name in wanted if taken[name] != wanted[name]]
    if replaced:
        method, changes = settings["method"]["_target_"].split(".")[-2], ", ".join(replaced)
        end = "which would spoil its task; method.views has the last word"
        print(f"method={method} takes {changes}, {end}", flush=True)


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Dotted name -> value; whole numbers like others, as 0 is 0.0."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = f"{value:g}" if isinstance(value, int | float) else str(value)
    return flat


def fitting_batch_size(n_scans: int, settings: Mapping[str, Any], n_processes: int) -> int:
    """`trainer.batch_size`, less where there are fewer scans.

    Args:
        n_scans: in an epoch.
        settings: the resolved configuration.
        n_processes: that share each batch.

    Raises:
        UserError: too few scans, or a batch that cannot be shared.
    """
    wanted = settings["trainer"]["batch_size"]
    if n_scans < 2 * n_processes:
        split, least = settings["data"]["split"], 2 * n_processes
        raise UserError(
            f"{n_scans} scans in data.split={split}, pretraining needs at least {least}; try data.split=all"
        )
    if wanted % n_processes:
        raise UserError(
            f"trainer.batch_size={wanted} cannot be shared by {n_processes} processes; "
            f"take a multiple of {n_processes}, e.g. {-(-wanted // n_processes) * n_processes}"
        )
    fitting = min(n_scans // n_processes * n_processes, wanted)
    if fitting < wanted:
        print(f"Only {n_scans} scans: trainer.batch_size={fitting} instead of {wanted}", flush=True)
    return fitting


@torch.no_grad()
def check_smallest(encoder: Encoder, views: Views) -> None:
    """Some encoders cannot take small views at all; better to know before the scans are learnt from.

    Raises:
        UserError: this one cannot.
    """
    side = views.smallest_side
    training = encoder.training
    try:
        encoder.eval()(torch.zeros(1, views.channels, side, side))
    except RuntimeError as error:
        raise UserError(
            f"encoder={encoder.name} cannot take views of {side} px ({error}); take larger ones, "
            "'method.crops=[{n:2,size:1.0}]', or larger scans, data.image_size="
        ) from error
    encoder.train(training)
