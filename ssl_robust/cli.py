"""The command line: stage name + overrides -> composed configuration -> stage -> report -> what to do next.

One function per step, no logic of any stage. Heavy imports wait until a stage is really started, so that
`--help` and a wrong option answer at once.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust import processes
from ssl_robust.files import printable
from ssl_robust.run import NotFine, UserError
from ssl_robust.stages import COMMANDS, SHARED, STAGES

if TYPE_CHECKING:
    from omegaconf import DictConfig


EXAMPLE = """\
Example, on your own scans:
  ssl-robust pretrain data=folder data.path=scans method=simclr out=runs/ssl
  ssl-robust audit    data=folder data.path=scans checkpoint=runs/ssl out=runs/audit

`ssl-robust STAGE --help` lists the options of a stage. For research use; not a medical device."""
_NOTHING_WRITTEN = "stopped before anything was written; run the same command again"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one stage and leave the process with its exit code: 0 done, 2 a mistake that is told, 3 above a limit."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one stage; returns the exit code.

    Args:
        arguments: the stage's name, then Hydra overrides and flags.
    """
    if processes.rank():
        return _run_silently(arguments)
    try:
        return _run(arguments)
    except UserError as error:
        _raise_if_asked()
        print(f"ssl-robust: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        _raise_if_asked()
        print(f"\nssl-robust: {error.args[0] if error.args else _NOTHING_WRITTEN}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has left, as in `… --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2


def _run_silently(arguments: list[str]) -> int:
    """In every process but the first, which speaks for all; a traceback is heard nevertheless."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        try:
            return _run(arguments)
        except UserError as error:
            return error.exit_code
        except KeyboardInterrupt:
            return 2


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"ssl-robust {version('ssl-robust')}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name in COMMANDS:
        _load(COMMANDS[name].function)(rest)
        return 0
    if name not in STAGES:
        import difflib

        near = difflib.get_close_matches(name, [*STAGES, *COMMANDS], n=1)
        hint = f", did you mean {near[0]}" if near else ""
        known = ", ".join([*STAGES, *COMMANDS])
        raise UserError(f"{name!r} is not a stage{hint}; the stages are {known}")
    from ssl_robust.overrides import check
    from ssl_robust.quoting import gather_passed, quote_paths

    stage = STAGES[name]
    if rest and rest[0] in stage.words:
        made = _load(stage.words[rest[0]])(gather_passed(rest[1:], stage.passes))
        if made is not None:
            _say_written(name, made)
        return 0
    if rest and stage.words and "=" not in rest[0] and rest[0][0] != "-":
        raise UserError(
            f"{name} {rest[0]} is not known; write {name} {f' or {name} '.join(stage.words)}, or options alone"
        )
    flags, typed = _split_flags(gather_passed(rest, stage.passes))
    sweep = "-m" in flags or "--multirun" in flags
    helping = "-h" in flags or "--help" in flags
    if helping:
        flags, typed = ["--help"], [each for each in typed if not (sweep and "," in each)]
    config, overrides = check(name, quote_paths(typed, sweep=sweep), fill=helping, sweep=sweep)
    if sweep and not helping and len(flags) == 1:
        from ssl_robust.sweep.launch import sweep as run_all

        return run_all(name, overrides, config, _execute)
    if flags:
        explained = _options_help(name, config, overrides) if helping else ""
        return _through_hydra(name, flags, overrides, explained)
    from ssl_robust.unused import unread

    for sentence in unread(name, config, overrides):
        print(f"Note: {sentence}", file=sys.stderr)
    from ssl_robust.sweep.job import drop_launcher

    _execute(name, config if stage.launches else drop_launcher(config), overrides)
    return 0


def _overview() -> str:
    lines = [f"  {name:<13}{each.summary}" for name, each in (STAGES | COMMANDS).items()]
    usage = "ssl-robust STAGE [key=value …]     self-supervised pretraining and label audits for medical images"
    return "\n".join([usage, "", "Stages:", *lines, "", EXAMPLE])


def _split_flags(rest: list[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags (with the value of those that take one) and the overrides."""
    known = {"-h", "--help", "--hydra-help", "-m", "--multirun", "--resolve", "--cfg", "-c", "--info", "-i", "-p",
             "--package"}  # fmt: skip
    with_value = {"--cfg", "-c", "-p", "--package"}
    flags, overrides = [], []
    queue = list(rest)
    while queue:
        word = queue.pop(0)
        if word not in known:
            overrides.append(word)
            continue
        flags.append(word)
        if word in with_value and queue:
            flags.append(queue.pop(0))
    return flags, overrides


def _options_help(name: str, config: DictConfig, overrides: list[str]) -> str:
    from ssl_robust.explain import help_text
    from ssl_robust.settings import chosen_groups

    # Hydra's template reads a dollar as the beginning of one of its own names.
    return help_text(name, config, chosen_groups(name, overrides)).replace("$", "$$")


def _through_hydra(name: str, flags: list[str], overrides: list[str], explained: str) -> int:
    """Hydra's own flags that run nothing: `--help` (which shows `explained`), `--cfg`, `--info`."""
    import hydra
    from omegaconf import OmegaConf

    from ssl_robust.settings import config_directory

    quiet = ["hydra/job_logging=disabled", "hydra/hydra_logging=disabled"]
    OmegaConf.register_new_resolver("ssl_robust.options", lambda: explained, replace=True)  # read by --help
    sys.argv = ["ssl-robust", *flags, *overrides, *quiet]
    hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=name)(lambda config: None)()
    return 0


def _execute(name: str, config: DictConfig, overrides: list[str] | None) -> None:
    """Run a stage, draw its report, say what was written and, outside of sweeps (None), what to do next."""
    from omegaconf import OmegaConf

    if processes.count() > 1 and name not in SHARED:
        raise UserError(
            f"{name} was started as {processes.count()} processes, each of which would do the whole work into the same "
            f"out=; only {' and '.join(SHARED)} share their work, start it as one process"
        )
    OmegaConf.resolve(config)
    if processes.count() == 1:
        _refuse_at_once(name, config)
    if sys.stderr.isatty():  # torch and its like take seconds; the first real line takes the place of this one
        print("loading …", end="\r", file=sys.stderr, flush=True)
    stage: Callable[[DictConfig], Path] = _load(STAGES[name].function)
    try:
        out = stage(config)
    except KeyboardInterrupt:
        raise _interrupted(Path(config.out), overwrite=config.overwrite) from None
    except NotFine as error:  # the report is what says why
        _say_written(name, error.out)
        raise
    except UserError:
        raise
    except Exception as error:
        if sentence := _about_full_disk(Path(config.out), error):
            raise UserError(sentence) from error
        raise
    if processes.rank():
        return
    _say_written(name, out)
    if STAGES[name].next_step and overrides is not None:
        words = {"out": shlex.quote(str(out)), "data": _data_of(overrides)}
        print("Next: " + STAGES[name].next_step.format(**{key: printable(text) for key, text in words.items()}))


def _say_written(name: str, out: Path) -> None:
    """Draw the report of a run, where there is one, and say where both are."""
    from ssl_robust.report import render

    page = render(out) if STAGES[name].makes_run else None
    report = f"\nReport: {printable(str(page))}  (open it in a browser)" if page else ""
    print(f"\nWrote {printable(str(out))}{report}")


def _refuse_at_once(name: str, config: DictConfig) -> None:
    """What can be said before torch is imported, which takes seconds: `out` is taken, or there is no such data."""
    from omegaconf import OmegaConf

    from ssl_robust.claim import Claim
    from ssl_robust.data.public.layout import set_folder
    from ssl_robust.encoders.places import NO_WEIGHTS, PREFIX, find_checkpoint
    from ssl_robust.files import existing

    if STAGES[name].makes_run:
        settings: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
        Claim(Path(config.out), name, settings, resume=config.resume, overwrite=config.overwrite)
    data = config.get("data")
    data = data if OmegaConf.is_dict(data) else {}  # the demo's are overrides for its own runs
    if data.get("homepage"):
        set_folder(data["path"], data["homepage"])
    for option in ("path", "index", "labels", "root"):
        if data.get(option) and not str(data.get("_target_")).endswith("read_embeddings"):  # no data to most stages
            existing(data[option], f"data.{option}", folder=None)
    checkpoint = str(config.get("checkpoint") or NO_WEIGHTS[0])
    if checkpoint not in NO_WEIGHTS and not checkpoint.startswith(PREFIX):
        find_checkpoint(checkpoint)


def _load(place: str) -> Callable:
    """`package.module:function` -> the function."""
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


def _data_of(overrides: list[str]) -> str:
    """The part of a command that names the data, for the shell."""
    about_data = [each for each in overrides if each.partition("=")[0].partition(".")[0] == "data"]
    # Paths were quoted for Hydra; plain ones need it no longer.
    about_data = [re.sub(r"='([\w./-]+)'$", r"=\1", each) for each in about_data]
    return " ".join(shlex.quote(each) for each in about_data if not each.startswith("data.split=")) or "data=…"


def _interrupted(out: Path, *, overwrite: bool) -> KeyboardInterrupt:
    """What Ctrl-C left in `out`, in a sentence that says how to go on; sub-runs (the demo's) count too."""
    from ssl_robust.run import read_json
    from ssl_robust.study.finished import is_done

    if not (out / "run.json").is_file() or read_json(out / "run.json").get("finished"):
        return KeyboardInterrupt(_NOTHING_WRITTEN)
    n_shards = len(list(out.glob("**/shards/*.npy")))
    what = "an unfinished run without a checkpoint"
    if n_cells := sum(is_done(each) for each in out.glob("cells/*")):
        what = f"{n_cells} finished cells"
    elif any(out.glob("**/last.ckpt")):
        what = "last.ckpt (the training up to it)"
    elif n_shards:
        what = f"{n_shards} shards"
    change = "resume=true in place of overwrite=true" if overwrite else "resume=true"
    return KeyboardInterrupt(f"stopped; {out} holds {what}; the same command with {change} continues from there")


def _about_full_disk(out: Path, error: Exception) -> str | None:
    """Where an error came of a full disk: what is left of the run, and how to go on."""
    from ssl_robust.disk import is_full

    if not is_full(error, out):
        return None
    left = f"{out} holds what was written before, " if (out / "run.json").exists() else ""
    again = "with resume=true" if left else "again, or with another out="
    return f"the disk of {out} is full; {left}make room and run the same command {again}"


def _raise_if_asked() -> None:
    """With HYDRA_FULL_ERROR=1 a developer sees the whole traceback."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise


if __name__ == "__main__":
    from ssl_robust.cli import main as imported  # what launchers pickle is looked up in a module of this name

    imported()
