"""The `relabel` stage: an audit -> the queue of a campaign; the same with answers -> its next round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.relabel.campaign import ABOUT, Campaign, add_round, read_campaign, scans_of, start_campaign
from ssl_robust.relabel.loop import answers_of, next_round
from ssl_robust.relabel.progress import left_of
from ssl_robust.relabel.subject import Subject, read_subject
from ssl_robust.run import Run, UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def relabel(config: DictConfig) -> Path:
    """Write the queue of a new campaign, or append a round to the one in `out`.

    Args:
        config: composed from `configs/relabel.yaml`.

    Returns:
        The run directory.

    Raises:
        UserError: a mistake in the options, no finished audit, or nothing is left to ask about.
    """
    from omegaconf import OmegaConf

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_settings(settings)
    out = Path(config.out).expanduser()
    goes_on = bool(config.resume) and (out / ABOUT).is_file()
    campaign = read_campaign(out) if goes_on else None
    if campaign is not None:
        _check_same(campaign, settings)
    elif settings["run"] is None:
        raise UserError("run= is missing; give the directory of a finished audit, e.g. run=runs/audit")
    subject = read_subject(settings["run"])
    with Run(out, stage="relabel", config=settings, resume=config.resume, overwrite=config.overwrite) as run:
        run.note(n_labelled=len(subject))
        campaign = _start(run.path, subject, settings) if campaign is None else _continue(campaign, subject, settings)
    shown = campaign.queue["shown"].iloc[-campaign.rounds[-1]["n_shown"] :]
    again = int((shown == "repeat").sum())
    more = f", and {again:,} once more, to see whether a reader agrees with themselves" if again else ""
    print(f"Round {len(campaign.rounds)}: {len(shown) - again:,} of {len(subject):,} scans to read{more}", flush=True)
    if goes_on:
        sentence = left_of(campaign, level=settings["level"]).sentence()
        print(sentence[0].upper() + sentence[1:], flush=True)
    return run.path


def start_review(audit: str | Path | None, out: str | Path, **options: Any) -> Path:
    """A campaign with the packaged values, for a page that is opened on an audit.

    Args:
        audit: directory of a finished audit; None: that of the campaign, with `resume=True`.
        out: of the campaign, new or empty.
        options: values of configs/relabel.yaml in place of those, e.g. `n=500, blind=True`; `sampler` is a name.

    Returns:
        `out`.

    Raises:
        UserError: as in `relabel`.
    """
    from ssl_robust.settings import compose

    sampler = options.pop("sampler", None)
    config = compose("relabel", [] if sampler is None else [f"sampler={sampler}"])
    for name, value in {"run": None if audit is None else str(audit), "out": str(out), **options}.items():
        config[name] = value
    return relabel(config)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what no queue can have.

    Args:
        settings: of configs/relabel.yaml.

    Raises:
        UserError: the first such option.
    """
    for name in ("n", "readers"):
        if settings[name] < 1:
            raise UserError(f"{name}={settings[name]} is not positive; give a whole number from 1")
    check_shares(settings)


def check_shares(settings: Mapping[str, Any]) -> None:
    """Refuse what no queue can have, of the options that `relabel` and its simulation share.

    Args:
        settings: of configs/_relabel.yaml, and `level`.

    Raises:
        UserError: the first such option.
    """
    for name in ("control", "repeat", "class_quota"):
        if not 0 <= settings[name] <= 1:
            raise UserError(f"{name}={settings[name]} is no share; give a number from 0 to 1, e.g. 0.1")
    if settings["control"] + settings["repeat"] > 1:
        raise UserError(f"control={settings['control']} and repeat={settings['repeat']} are more than all showings; "
                        "lower one of them")  # fmt: skip
    if not 0 < settings["level"] < 1:
        raise UserError(f"level={settings['level']} is no coverage; give a number between 0 and 1, e.g. 0.9")
    if settings["per_patient"] and settings["class_quota"]:
        raise UserError("per_patient=true chooses patients and class_quota= scans of a class; leave one of them out")
    for name, least in (("coordinates", 1), ("folds", 2)):
        if settings["classifier"][name] < least:
            raise UserError(f"classifier.{name}={settings['classifier'][name]} is too small; give a whole number from "
                            f"{least}")  # fmt: skip
    if not settings["classifier"]["penalty"] > 0:
        raise UserError(
            f"classifier.penalty={settings['classifier']['penalty']} is not positive; give a number above zero"
        )


def _start(place: Path, subject: Subject, settings: Mapping[str, Any]) -> Campaign:
    permutation = np.random.default_rng(settings["seed"]).permutation(len(subject))
    queue = next_round(
        subject, settings, answers={}, permutation=permutation, closed=np.zeros(len(subject), dtype=bool), number=1
    )
    return start_campaign(
        place, queue, audit=subject.audit, data=scans_of(subject.audit), classes=subject.classes,
        control=subject.ids[permutation].tolist(), blind=settings["blind"], readers=settings["readers"],
        seed=settings["seed"],
    )  # fmt: skip


def _continue(campaign: Campaign, subject: Subject, settings: Mapping[str, Any]) -> Campaign:
    rows = {name: row for row, name in enumerate(subject.ids)}
    permutation = np.array([rows[name] for name in campaign.control])
    closed = np.isin(subject.ids, campaign.queue["sample_id"].to_numpy(dtype=object))
    if closed.all():
        raise UserError(
            f"all {len(subject):,} scans of {campaign.place} are in its queue already; read on with `ssl-robust review "
            f"run={campaign.place}`, or go on with `ssl-robust relabel apply run={campaign.place} out=corrected.csv`"
        )
    queue = next_round(
        subject, settings, answers=answers_of(campaign), permutation=permutation, closed=closed,
        number=len(campaign.rounds) + 1,
    )  # fmt: skip
    if queue.empty:
        raise UserError(f"nothing new to ask about in {campaign.place}: the {int((~closed).sum()):,} scans that are "
                        "left show pictures in its queue, or repeat= leaves them no place; add control=1 repeat=0 to "
                        "have them read nevertheless")  # fmt: skip
    return add_round(campaign, queue)


def _check_same(campaign: Campaign, settings: dict[str, Any]) -> None:
    """A campaign goes on with the audit, the seed and the manner of showing that it began with."""
    settings["run"] = settings["run"] or campaign.audit
    if Path(settings["run"]).expanduser().resolve() != Path(campaign.audit).expanduser().resolve():
        raise UserError(f"the campaign in {campaign.place} is about {campaign.audit} and not {settings['run']}; leave "
                        "run= as it was, or give another out=")  # fmt: skip
    for name in ("blind", "readers", "seed"):
        settings[name] = getattr(campaign, name)
