"""`ssl-robust doctor`: the facts about this machine, what of them is a problem, and all of it in words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ssl_robust.data.cache import cache_directory
from ssl_robust.disk import free_bytes
from ssl_robust.doctor import machine
from ssl_robust.doctor.caches import decoded_sets
from ssl_robust.doctor.readers import extras, readers
from ssl_robust.doctor.words import shown, size

_LITTLE_DISK = 5e9  # bytes; some 400,000 colour scans of 64 px, or a dozen checkpoints of a ResNet-50 in training
_LITTLE_MEMORY = 2e9  # bytes; what torch, an encoder and its batches take before any scan is held


def facts() -> dict[str, Any]:
    """What this machine has, as plain values; no path, no name of a user or a host."""
    from ssl_robust.doctor.devices import devices

    folder = cache_directory(None)
    sets = decoded_sets(folder)
    cache = {"place": shown(folder), "sets": len(sets), "bytes": sum(each.n_bytes for each in sets),
             "free": free_bytes(folder), "writable": _is_writable(folder)}  # fmt: skip
    found = {"versions": machine.versions(), "cores": machine.cores(), "memory": machine.memory(),
             "devices": devices(), "cache": cache, "runs": {"place": ".", "free": free_bytes(".")},
             "readers": readers(), "extras": extras()}  # fmt: skip
    return {"problems": problems(found), **found}


def problems(found: dict[str, Any]) -> list[str]:
    """What will be slow here, or fail; a sentence each, the gravest first.

    Args:
        found: the other entries of `facts`.
    """
    cores, memory, devices, cache = (found[name] for name in ("cores", "memory", "devices", "cache"))
    said = []
    if not cache["writable"]:
        said.append(f"decoded scans cannot be written to {cache['place']}; choose a folder with SSL_ROBUST_CACHE=…")
    for what, place in (("decoded scans", cache), ("runs started here", found["runs"])):
        if place["free"] < _LITTLE_DISK:
            said.append(f"the disk for {what} is nearly full: {size(place['free'])} left")
    if (usable := _usable(memory)) and usable < _LITTLE_MEMORY:
        said.append(f"{size(usable)} of memory are little; lower trainer.batch_size, or ask for more")
    if not devices["gpus"]:
        said.append(f"no GPU is used: {devices['why_no_gpu']}")
    if devices["precision"] == "fp32":
        said.append("no bf16: the encoder computes in fp32, which takes about twice as long where bf16 was measured")
    if devices["threads"] < cores["usable"] and not devices["gpus"]:
        told = " as OMP_NUM_THREADS says" if os.environ.get("OMP_NUM_THREADS") else ""
        said.append(f"torch computes with {devices['threads']} of {cores['usable']} cores{told}")
    if missing := [name for name, is_here in found["readers"]["pictures"].items() if not is_here]:
        said.append(f"this build of Pillow cannot read {', '.join(missing)}; install Pillow with pip")
    return said


def in_words(found: dict[str, Any]) -> str:
    """`facts` for a person: problems first."""
    problems = found["problems"]
    head = ["Problems:", *(f"  - {each}" for each in problems)] if problems else ["No problems."]
    return "\n".join([*head, "", *_machine(found), "", *_readers(found), "", *_disk(found)])


def _machine(found: dict[str, Any]) -> list[str]:
    versions, cores, memory, devices = (found[name] for name in ("versions", "cores", "memory", "devices"))
    quota = "" if cores["quota"] is None else f", a limit of {cores['quota']:g}"
    limit = "" if memory["limit"] is None else f", a limit of {size(memory['limit'])}"
    known = memory["machine"] is not None
    gpus = [f"{gpu['name']}" + (f", {size(gpu['memory'])}, {size(gpu['free'])} free" if gpu["memory"] else "")
            for gpu in devices["gpus"]]  # fmt: skip
    usable = _usable(memory)
    return [
        _line("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        _line("GPUs", "; ".join(gpus) or "none"),
        _line("cores", f"{cores['usable']} may be used (the machine has {cores['machine']}{quota})"),
        _line("memory", f"{size(usable)} may be used (the machine has {size(memory['machine'])}{limit})"
              if known and usable else "unknown"),
        _line("auto means", f"device={devices['device']} precision={devices['precision']}"),
    ]  # fmt: skip


def _readers(found: dict[str, Any]) -> list[str]:
    lines = [_line(name, _here(found["readers"][kind])) for kind, name in
             (("pictures", "pictures"), ("dicom", "DICOM"), ("tables", "CSV and"))]  # fmt: skip
    if not all(found["readers"]["dicom"].values()):
        lines[1] += ' (pip install "ssl-robust[dicom]")'
    missing = {name: libraries for name, libraries in found["extras"].items() if libraries}
    here = [name for name, libraries in found["extras"].items() if not libraries]
    lines.append(_line("extras", f"{', '.join(here) or 'none'} installed"))
    return lines + [_line("", f'pip install "ssl-robust[{name}]"   brings {", ".join(libraries)}')
                    for name, libraries in missing.items()]  # fmt: skip


def _here(which: dict[str, bool]) -> str:
    """ "JPEG, PNG; not WebP"."""
    read = ", ".join(name for name, is_here in which.items() if is_here)
    not_read = ", ".join(name for name, is_here in which.items() if not is_here)
    return (read or "none") + (f"; not {not_read}" if not_read else "")


def _disk(found: dict[str, Any]) -> list[str]:
    cache, runs = found["cache"], found["runs"]
    sets = f"{cache['sets']} set{'' if cache['sets'] == 1 else 's'}, {size(cache['bytes'])}"
    clear = "; `ssl-robust doctor clear-cache` empties it" if cache["sets"] else ""
    return [
        _line("runs here", f"{size(runs['free'])} free"),
        _line("decoded", f"{sets} in {cache['place']}, {size(cache['free'])} free{clear}"),
    ]


def _usable(memory: dict[str, Any]) -> int | None:
    return min((each for each in (memory["machine"], memory["limit"]) if each), default=None)


def _line(name: str, text: str) -> str:
    return f"{name:<12}{text}"


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there yet."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK)
