"""An estimate in words: an answer to "can I wait for it, and does it fit on the disk?"."""

from __future__ import annotations

from typing import Any

from ssl_robust.doctor.words import between, duration, size

_NAMES = {"training": "training", "saving": "saving last.ckpt", "monitor": "monitor", "embedding": "embedding",
          "measuring": "measuring it"}  # fmt: skip


def in_words(found: dict[str, Any]) -> str:
    """What `estimate` has found, problems first.

    Args:
        found: from `ssl_robust.doctor.plan.estimate`.
    """
    times = [found["cache"]["decode"], *found["times"].values()]
    whole = {key: sum(each[key] for each in times) for key in ("seconds", "low", "high")}
    low, high = whole["low"] + found["listing_seconds"], whole["high"] + found["listing_seconds"]
    lines = [f"  {_NAMES[name]:<20}{_time(part)}" for name, part in found["times"].items()]
    problems = [f"Problem: {each}" for each in problems_of(found)]
    memory = found["memory"]
    gpu = f", {size(memory['gpu'])} of the GPU" if memory["gpu"] else ""
    return "\n".join([
        "",
        *problems,
        f"Estimate for `ssl-robust {found['stage']}`: {duration(whole['seconds'] + found['listing_seconds'])} "
        f"({between(low, high)} by what the trial saw; other work on the machine changes it)",
        f"  {'finding the scans':<20}{duration(found['listing_seconds'])} for {found['scans']:,}",
        f"  {'decoding them':<20}{_decoding(found['cache'])}",
        *lines,
        f"  {'disk':<20}{_disk(found)}",
        *([f"  {'memory of the trial':<20}{size(memory['process'])}{gpu}"] if memory["process"] else []),
        *(f"  ({note})" for note in found["notes"]),
        "  (loading, the report and checks take some seconds more)",
    ])  # fmt: skip


def problems_of(found: dict[str, Any]) -> list[str]:
    """What will not fit."""
    cache, said = found["cache"], []
    if cache["new"] and cache["bytes"] > cache["free"]:
        said.append(f"the decoded scans take {size(cache['bytes'])}, their disk has {size(cache['free'])} left; "
                    "take another with data.cache_dir=…, or a smaller data.image_size=")  # fmt: skip
    if (needed := sum(found["disk"].values())) > found["free"]:
        said.append(f"the run takes {size(needed)}, the disk of out= has {size(found['free'])} left; take another out=")
    return said


def _time(part: dict[str, float]) -> str:
    middle, around = duration(part["seconds"]), between(part["low"], part["high"])
    return middle if around == middle else f"{middle} ({around})"


def _decoding(cache: dict[str, Any]) -> str:
    side, _, channels = cache["shape"]
    what = f"{size(cache['bytes'])} at {side} px in {'grey' if channels == 1 else 'colour'}"
    if not cache["new"]:
        return f"done before, {what}"
    return f"{_time(cache['decode'])} for {cache['new']:,}, {what} in the cache"


def _disk(found: dict[str, Any]) -> str:
    parts = ", ".join(f"{name} {size(n_bytes)}" for name, n_bytes in found["disk"].items() if n_bytes)
    return f"{size(sum(found['disk'].values()))} in out= ({parts})"
