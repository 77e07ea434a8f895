"""`ssl-robust doctor`: what was typed -> one call; nothing heavy is imported before it is needed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ssl_robust.run import UserError

USAGE = """\
ssl-robust doctor                      what this machine has: GPUs, cores, memory, formats, disk; problems first
ssl-robust doctor STAGE key=value …    what that command will cost: scans, time to decode, time to train, disk, memory
ssl-robust doctor clear-cache [older=30d] [yes=true] [data.cache_dir=DIR]      free the disk of decoded scans

STAGE is pretrain, finetune, embed or audit, with the options that the command itself will get:
  ssl-robust doctor pretrain data=folder data.path=scans method=simclr trainer.max_epochs=200
It decodes some of the scans and trains some steps on them, for about a minute; nothing is kept. What it says is an
estimate: other work on the machine, scans unlike those tried and a disk that is read for the first time change it.

clear-cache lists the sets of decoded scans and asks; where nobody can answer it deletes with yes=true only. It deletes
what ssl-robust has decoded and nothing else. Runs decode again what they miss.
  older=30d          only the sets that no run has opened for 30 days

  json=true          (or --json) the answer as JSON, for the first two"""
CLEAR = "clear-cache"
STAGES = ("pretrain", "finetune", "embed", "audit")
_OPTIONS = ("older", "yes", "data.cache_dir")


def doctor(words: list[str]) -> None:
    """Do what the words say.

    Args:
        words: none, or a stage or `clear-cache` and its options.

    Raises:
        UserError: a word that is none, or an option that does not fit.
    """
    if {"-h", "--help", "help"} & set(words):
        print(USAGE)
        return
    as_json = _switch("json", words) or "--json" in words
    rest = [word for word in words if word != "--json" and not word.startswith("json=")]
    if not rest:
        _machine(as_json)
        return
    action, options = rest[0], rest[1:]
    if action == CLEAR and not as_json:
        _clear(options)
    elif action in STAGES:
        _plan(action, options, as_json)
    elif action == CLEAR:
        raise UserError(f"doctor {CLEAR} says what it deletes in words alone; take json= away")
    else:
        known = (*STAGES, CLEAR)
        raise UserError(
            f"doctor {action} does not exist{_near(action, known)}; expected {', '.join(known)}, or nothing for the "
            "machine"
        )


def _machine(as_json: bool) -> None:
    from ssl_robust.doctor.checkup import facts, in_words

    _answer(facts(), in_words, as_json)


def _plan(stage: str, options: Sequence[str], as_json: bool) -> None:
    import contextlib
    import sys

    from ssl_robust.overrides import check
    from ssl_robust.quoting import quote_paths

    config, _ = check(stage, quote_paths(options, sweep=False))
    from ssl_robust.doctor.plan import estimate
    from ssl_robust.doctor.plan_words import in_words, problems_of

    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):  # what the stage says about its scans
        found = estimate(stage, config)
    _answer({"problems": problems_of(found), **found}, in_words, as_json)


def _clear(words: Sequence[str]) -> None:
    for word in words:
        if "=" not in word:
            raise UserError(f"doctor {CLEAR} takes key=value, got {word}; e.g. yes=true")
        if (key := word.partition("=")[0]) not in _OPTIONS:
            raise UserError(f"doctor {CLEAR} has no option {key}{_near(key, _OPTIONS)}; it takes {', '.join(_OPTIONS)}")
    older = re.fullmatch(r"([0-9]+)d?", _value("older", words) or "0d")
    if older is None:
        raise UserError(f"older={_value('older', words)} does not fit; give a number of days, e.g. older=30d")
    from ssl_robust.doctor.clearing import clear_cache

    days = int(older.group(1)) if _value("older", words) else None
    clear_cache(_value("data.cache_dir", words), days=days, yes=_switch("yes", words))


def _answer(found: dict[str, Any], in_words: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    import json

    print(json.dumps(found, indent=1) if as_json else in_words(found))


def _value(name: str, words: Sequence[str]) -> str | None:
    """What stands after `name=`, the last time; None where it is not there."""
    return next((word.partition("=")[2] for word in reversed(words) if word.startswith(f"{name}=")), None)


def _switch(name: str, words: Sequence[str]) -> bool:
    value = _value(name, words)
    if value not in (None, "true", "false"):
        raise UserError(f"{name}={value} does not fit; expected true or false")
    return value == "true"


def _near(word: str, known: Collection[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {match[0]}" if match else ""
