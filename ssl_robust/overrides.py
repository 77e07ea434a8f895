"""What the user typed after the stage's name: mistakes turned into one sentence.

Hydra's own messages are several lines long, and a missing `method=` hides the typo beside it. Everything is
therefore checked here, in the order in which a person would want to hear of it: unknown groups and choices,
misspelt options, values of the wrong type, then what is missing.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ssl_robust.records import Crop
from ssl_robust.run import UserError
from ssl_robust.settings import choices, compose, config_directory, defaults
from ssl_robust.syntax import all_values, first_value, parse
from ssl_robust.targets import check_targets

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

# What `--help` shows of a group that the user has to choose.
_EXAMPLES = {"data": "folder", "method": "simclr", "to": "labelstudio"}
_ABSENT = object()
# Where libraries take names that no file here knows: of `create_model`, of optimisers, loggers and launchers.
_OPEN = ("encoder_args.", "data.windows.", "optim.", "logger.", "launcher.")
_TEXTS = ("out", "encoder")  # never empty
T = TypeVar("T")
_SEEDS = 2**32  # what scikit-learn and NumPy's older generators take


def check(
    stage: str, arguments: Sequence[str], *, fill: bool = False, sweep: bool = False
) -> tuple[DictConfig, list[str]]:
    """The configuration that the overrides give, or one sentence about the first mistake in them.

    Args:
        stage: name of the stage.
        arguments: overrides with paths quoted.
        fill: choose for the user where a group is missing (for `--help`), rather than complain.
        sweep: allow several values (`method=simclr,byol`); the first of each is composed.

    Returns:
        The composed configuration, and the overrides that it took (with the chosen groups, if `fill`).

    Raises:
        UserError: a group, choice, option or value that does not exist or does not fit, or is missing.
    """
    from omegaconf import OmegaConf

    parsed = [parse(argument, sweep) for argument in arguments]
    groups = _group_names()
    chosen = [each for each in parsed if each.key_or_group in groups]
    for each in chosen:
        _check_group(stage, each.key_or_group)
        if each.is_add() or each.is_force_add():
            raise UserError(f"{each.input_line} adds a group that is there already; write it without +")
        for value in all_values(each):
            _check_choice(each.key_or_group, str(value))
    missing = [group for group in required_groups(stage) if group not in {each.key_or_group for each in chosen}]
    filled = [f"{group}={_EXAMPLES.get(group) or choices(group)[0]}" for group in missing]
    bare = _composed(stage, [f"{each.key_or_group}={all_values(each)[0]}" for each in chosen] + filled)
    values = [each for each in parsed if each.key_or_group not in groups]
    for each in values:
        _check_option(stage, each, bare)
    if missing and not fill:
        raise UserError(f"{missing[0]}= is missing; choose one of {', '.join(choices(missing[0]))}")
    first = [first_value(each, argument) for each, argument in zip(parsed, arguments, strict=True)]
    config = _composed(stage, first + filled)
    check_targets(OmegaConf.to_container(config))  # type: ignore[arg-type]
    if not fill:
        _check_oracle(config, {each.key_or_group: str(all_values(each)[0]) for each in chosen})
        _resolving(lambda: _check_complete(stage, config))
        _resolving(lambda: OmegaConf.to_container(config, resolve=True))
    return config, [*arguments, *filled]


def _group_names() -> set[str]:
    return {entry.name for entry in config_directory().iterdir() if entry.is_dir()}


def stage_groups(stage: str) -> dict[str, str]:
    """Groups of a stage in the order of its defaults list, each with its choice; `???` is left to the user."""
    import yaml

    root = yaml.safe_load((config_directory() / f"{stage}.yaml").read_text(encoding="utf-8"))
    entries = [entry for entry in root.get("defaults", []) if isinstance(entry, dict)]
    return {group: choice for entry in entries for group, choice in entry.items()}


def required_groups(stage: str) -> list[str]:
    """Groups that the stage's defaults list leaves to the user (`- method: ???`)."""
    return [group for group, choice in stage_groups(stage).items() if choice == "???"]


def _check_group(stage: str, group: str) -> None:
    known = stage_groups(stage)
    if not known:
        raise UserError(f"{stage} chooses {group} itself; run pretrain, finetune and audit on their own to choose it")
    if group not in known:
        raise UserError(f"{stage} has no group {group}; take {group}= away, it has {', '.join(known)}")


def _check_choice(group: str, choice: str) -> None:
    known = choices(group)
    if choice not in known:
        raise UserError(f"{group}={choice} does not exist{_nearest(choice, known)}; choose one of {', '.join(known)}")


def _check_option(stage: str, override: Override, config: DictConfig) -> None:
    key = override.key_or_group
    known = _flatten(config)
    adds = override.is_add()  # with one plus; two of them replace or add
    if adds and key in known and key != "encoder_args":  # into which all is merged
        raise UserError(f"{override.input_line} adds what is there already; write it without +")
    plus = adds or override.is_force_add()
    if plus and key not in known and key.startswith(_OPEN) and "_target_" not in str(override.input_line):
        return
    if key not in known:
        named = [name for name in known if "_target_" not in name]  # never what a user means
        slip = difflib.get_close_matches(key, named, n=1, cutoff=0.9)  # a letter of an option that is there
        if not slip and (holders := _choices_with(stage, key)):
            raise UserError(f"{stage} has no option {key} as it is; add {' or '.join(holders)}")
        typed = override.input_line if adds else key
        raise UserError(
            f"{stage} has no option {typed}{_nearest(key, named)}; `ssl-robust {stage} --help` lists the options"
        )
    for value in all_values(override):
        _check_type(key, value, known[key])


def _check_oracle(config: DictConfig, chosen: Mapping[str, str]) -> None:
    """A strategy that is told the rate of the noise needs a noise that is made at a rate."""
    from omegaconf import OmegaConf

    strategy, noise = config.get("strategy"), config.get("noise", {})
    if strategy is None or "assumed_noise_rate" not in strategy:
        return
    told = OmegaConf.is_interpolation(strategy, "assumed_noise_rate")
    if told and (noise.get("rate") is None or noise.get("matrix") is not None):
        name, kind = chosen.get("strategy", "strategy"), chosen.get("noise", "none")
        what = f"noise={kind} with a matrix" if noise.get("matrix") is not None else f"noise={kind}"
        raise UserError(
            f"strategy={name} is told the rate of the noise that is made, and {what} has none; choose noise=symmetric "
            f"noise.rate=0.4, or strategy={name.removesuffix('_oracle')}, which estimates it"
        )


def _choices_with(stage: str, key: str) -> list[str]:
    """Choices of the option's group that have this option: `noise.rate` -> ["noise=class_dependent", …]."""
    group, *names = key.split(".")
    found = []
    for choice in choices(group) if group in stage_groups(stage) and names else []:
        values: Any = defaults(group, choice)
        for name in names:
            values = values.get(name, _ABSENT) if isinstance(values, dict) else _ABSENT
        if values is not _ABSENT:
            found.append(f"{group}={choice}")
    return found


def _check_type(key: str, value: Any, default: Any) -> None:
    """Refuse a value whose type the default rules out; a text or an empty default takes anything."""
    from omegaconf import DictConfig, ListConfig

    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    wanted = None
    if isinstance(default, bool):
        wanted = None if isinstance(value, bool) else "true or false"
    elif key.rpartition(".")[2] in ("seed", "split_seed", "long_tail_seed"):
        fits = number and isinstance(value, int) and 0 <= value < _SEEDS
        wanted = None if fits or value is default is None else f"a whole number from 0 to {_SEEDS - 1}"
    elif key == "method.crops":
        wanted = _not_crops(value)
    elif isinstance(default, DictConfig):
        names = isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
        example = f"one of its parts, e.g. {key}.{next(iter(default))}=" if default else f"'{key}={{name: value}}'"
        wanted = None if names else example
    elif isinstance(default, ListConfig):
        wanted = None if isinstance(value, list) else f"a list such as '{key}=[…]'"
        if wanted and default and isinstance(default[0], str):
            wanted = f"a list such as '{key}=[\"{default[0]}\"]'"
    elif key in _TEXTS:
        wanted = None if isinstance(value, str) and value else f"a text such as {default}"
    elif key == "checkpoint" and value == "":
        wanted = "the directory of a pretrain run, default or none"
    elif isinstance(default, str) and isinstance(value, Mapping):
        wanted = f"a value such as {default}"
    elif key == "optim.lr":
        wanted = None if number and value > 0 else f"a number above 0 such as {default:g}"
    elif isinstance(default, int) and not key.startswith("views."):  # the views' amounts are numbers throughout
        wanted = None if number and isinstance(value, int) else f"a whole number such as {default}"
    elif isinstance(default, (int, float)):
        wanted = None if number else f"a number such as {default:g}"
    if wanted:
        raise UserError(f"{key}={'null' if value is None else value} does not fit, expected {wanted}")


def _not_crops(value: Any) -> str | None:
    """What was expected in place of crops that cannot be."""
    try:
        if isinstance(value, list) and value and all(Crop.read(each) for each in value):
            return None
    except ValueError as error:
        return str(error)
    return "a list of views such as 'method.crops=[{n: 2, size: 1.0}]'"


def _composed(stage: str, overrides: Sequence[str]) -> DictConfig:
    """`compose`, with whatever Hydra still does not take in one sentence."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        return compose(stage, overrides)
    except (HydraException, OmegaConfBaseException, ValueError, RecursionError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{stage} cannot be put together from {' '.join(overrides)} ({first}); take that option away, or see --help"
        ) from error


def _resolving(act: Callable[[], T]) -> T:
    """Do what follows `${…}`, and say which of them leads nowhere."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        return act()
    except (OmegaConfBaseException, RecursionError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{getattr(error, 'full_key', None) or 'an option'} refers by ${{…}} to what is not there ({first}); "
            "name another option in it, or write \\${ for the characters themselves"
        ) from error


def _check_complete(stage: str, config: DictConfig) -> None:
    from omegaconf import OmegaConf

    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        wanted = " and ".join(f"{key}=…" for key in missing)
        raise UserError(f"{stage} needs {wanted}; `ssl-robust {stage} --help` shows what it means")


def _flatten(config: DictConfig, prefix: str = "") -> dict[str, Any]:
    """All options of a configuration by dotted name; inner nodes count too (`crops=[…]` replaces one)."""
    from omegaconf import DictConfig as Node
    from omegaconf import OmegaConf

    options: dict[str, Any] = {}
    for key in map(str, config):
        name = f"{prefix}{key}"
        missing = OmegaConf.is_missing(config, key)
        options[name] = None if missing or OmegaConf.is_interpolation(config, key) else config[key]
        if isinstance(options[name], Node):
            options |= _flatten(options[name], f"{name}.")
    return options


def _nearest(name: str, known: Iterable[str]) -> str:
    """A phrase that names what was probably meant, or nothing; `epochs` may mean `trainer.max_epochs`."""
    known = list(known)
    meant = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    last = [each for each in known if each.rpartition(".")[2] == name]
    word = [each for each in known if name in each.rpartition(".")[2].split("_")]
    meant = meant or last or (word if len(word) < 4 else [])
    return f", did you mean {' or '.join(meant)}" if meant else ""
