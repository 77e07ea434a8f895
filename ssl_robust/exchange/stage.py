"""`ssl-robust convert`: a data set in the format of another tool, with ids that come back as they were.

It writes a folder that may be handed on, so that no run.json with the paths of this machine lies in it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust.data.found import say_found
from ssl_robust.data.manifest import load_manifest
from ssl_robust.exchange.audited import check_first, first_suspects, read_audit, with_audit
from ssl_robust.exchange.queued import read_queue, with_queue
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_MARK = ".ssl-robust-converted"  # what may be replaced; other tools do not see it


def convert(config: DictConfig) -> Path:
    """Write the scans and labels of `data` as the tool of `to` reads them.

    Args:
        config: composed from `configs/convert.yaml`.

    Returns:
        The folder that was written.

    Raises:
        UserError: the folder is taken, an option does not fit, or the data cannot be read.
    """
    from omegaconf import OmegaConf

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_first(settings["first"], settings["audit"] or settings["queue"])
    if settings["audit"] is not None and settings["queue"] is not None:
        raise UserError("queue= brings what its audit says along; take audit= away")
    out = _free_place(settings)
    audit = None if settings["audit"] is None else read_audit(settings["audit"])
    queue = None if settings["queue"] is None else read_queue(settings["queue"])
    manifest = load_manifest(settings["data"])
    say_found(manifest, "scans")
    if audit is not None:
        manifest = with_audit(manifest, audit)
    if queue is not None:
        manifest = with_queue(manifest, queue, first=settings["first"])
    elif settings["first"] is not None:
        manifest = first_suspects(manifest, settings["first"])
    options = dict(settings["to"])
    module, _, name = str(options.pop("_target_")).rpartition(".")
    if not module.startswith("ssl_robust.exchange."):
        raise UserError(f"to._target_={module}.{name} is not a writer of ssl_robust; choose one with to=<name>")
    write = getattr(importlib.import_module(module), name)
    taken = inspect.signature(write).parameters
    if "max_unreadable" in taken:
        options["max_unreadable"] = float(settings["data"]["max_unreadable"])
    if "audited" in taken:
        options["audited"] = audit
    try:
        with _replacing_folder(out) as folder:
            hint = write(manifest, folder, place=out, **options)
            (folder / _MARK).write_text(json.dumps({"n_scans": len(manifest)}), encoding="utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"a name cannot be written as UTF-8 ({error.object!r}); rename it") from None
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}); choose another out=") from None
    hidden = settings["data"]["ids"] == "hashed" or (settings["data"]["ids"] == "auto" and manifest.personal)
    if manifest.has_patients and not hidden:
        print("Note: patients and file names go along as they are; data.ids=hashed hides them", file=sys.stderr)
    print(f"Import: {hint}", flush=True)
    if queue is not None:
        print("Answers, of tables those in the column answer, come back with ssl-robust relabel import "
              f"run={settings['queue']} from=labelstudio|cvat|fiftyone|csv path=FILE", flush=True)  # fmt: skip
    return out


def _free_place(settings: dict[str, Any]) -> Path:
    """Where the folder goes: nothing is there, or a conversion that may be replaced."""
    if settings["resume"]:
        raise UserError("a conversion is written at once, there is nothing to resume; take resume= away")
    out = Path(settings["out"]).expanduser()
    if out.exists() and not out.is_dir():
        raise UserError(f"out={out} is a file; give a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return out
    if not (out / _MARK).is_file():
        raise UserError(f"out={out} holds other files and no conversion; give an empty or new folder")
    if not settings["overwrite"]:
        raise UserError(
            f"out={out} holds a conversion already; choose another out=, or add overwrite=true to replace it"
        )
    for option in ("path", "root", "index"):
        given = settings["data"].get(option)
        if given and Path(given).expanduser().resolve().is_relative_to(out.resolve()):
            raise UserError(f"out={out} would replace data.{option}={given}, which is read; choose another out=")
    return out


@contextlib.contextmanager
def _replacing_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place once it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    new, old = out.with_name(f".{out.name}.{mark}"), out.with_name(f".{out.name}.{mark}.old")
    new.mkdir()
    try:
        yield new
        if out.exists():
            out.rename(old)
        new.rename(out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
