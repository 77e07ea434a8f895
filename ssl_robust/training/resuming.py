"""What an interrupted run must match before it is continued, and what is dropped of its half-done epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ssl_robust.run import UserError, read_run, replacing

# What may differ between a run and its continuation: where things are and how they are shown.
FREE = frozenset({"out", "resume", "overwrite", "checkpoint", "encoder_file", "data_licence", "trainer.device",
                  "trainer.devices", "trainer.strategy", "trainer.progress", "trainer.checkpoint_minutes", "data.path",
                  "data.root", "data.index", "data.cache_dir", "launcher", "logger"})  # fmt: skip
_FREE_WHEN_DONE = frozenset({"out", "resume", "overwrite", "device", "devices", "trainer.device", "trainer.devices",
                            "trainer.strategy", "trainer.progress", "trainer.checkpoint_minutes", "data.cache_dir",
                            "launcher", "logger", "reuse", "fail_above"})  # fmt: skip


def is_finished(settings: Mapping[str, Any], *, stage: str) -> bool:
    """Whether `resume=true` finds its run finished, which is then said; nothing is to be done.

    Asked before data and encoder are read, so that where these lie must be the same as well.

    Args:
        settings: the resolved configuration, with `out` and `resume`.
        stage: the stage that asks.

    Raises:
        UserError: what is finished in `out` was made with other options.
    """
    out = Path(settings["out"])
    if not (settings["resume"] and (out / "run.json").is_file() and read_run(out).get("finished")):
        return False
    check_same(settings, stage=stage, free=_FREE_WHEN_DONE)
    print(f"{out} is finished already; overwrite=true makes it anew", flush=True)
    return True


def check_same(
    settings: Mapping[str, Any],
    *,
    stage: str,
    fingerprint: str | None = None,
    encoder: str | None = None,
    free: Collection[str] = FREE,
) -> None:
    """A run can only be continued with what it was started with.

    Args:
        settings: the resolved configuration of the continuation, with `out`.
        stage: the stage that asks.
        fingerprint: of its data, where they have been read.
        encoder: fingerprint of the encoder that it starts from, where it does.
        free: dotted names that may differ.

    Raises:
        UserError: an option, the data or the encoder differ (the message names the first), or `out` is another stage's
            run.
    """
    out = Path(settings["out"])
    if not out.is_dir() or not any(out.iterdir()):
        return
    before = read_run(out, stage=stage)
    changed = different(before["config"], settings, free)
    if changed:
        name, old, new = changed[0]
        more = f" (also {', '.join(each[0] for each in changed[1:])})" if len(changed) > 1 else ""
        raise UserError(
            f"cannot resume {out}: {name} was {old} and is now {new}{more}; "
            "resume with the first run's options, or choose another out="
        )
    if fingerprint is not None and before.get("data_fingerprint", fingerprint) != fingerprint:
        raise UserError(f"cannot resume {out}: the scans, their labels, patients or splits have changed; "
                        "choose another out=")  # fmt: skip
    if encoder is not None and before.get("encoder_fingerprint", encoder) != encoder:
        raise UserError(f"cannot resume {out}: checkpoint={settings['checkpoint']} is another encoder than before; "
                        "give the first one, or choose another out=")  # fmt: skip


def different(before: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]) -> list[tuple[str, Any, Any]]:
    """Dotted names of the options that differ, each with what it was and is, in order; None where it is not there.

    Args:
        before: nested settings.
        now: nested settings.
        free: names that may differ, with all below them.
    """
    old, new = _flat(before, free), _flat(now, free)
    return [(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)]  # fmt: skip


def forget_rows(path: Path, *, after: int) -> None:
    """Drop the rows of a metrics.csv whose `epoch` lies after the checkpoint: they are about to be done again."""
    import pandas as pd

    if not path.exists():
        return
    rows = pd.read_csv(path)
    kept = rows[rows["epoch"] <= after]
    if len(kept) == 0:
        path.unlink()
    elif len(kept) < len(rows):
        with replacing(path) as temporary:
            kept.to_csv(temporary, index=False)


def _flat(values: Any, free: Collection[str], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `trainer.max_epochs`: value, without those that may differ."""
    if prefix in free:
        return {}
    if not isinstance(values, Mapping) or not values:
        return {prefix: values}
    parts = (_flat(value, free, f"{prefix}.{name}" if prefix else str(name)) for name, value in values.items())
    return {name: value for part in parts for name, value in part.items()}
