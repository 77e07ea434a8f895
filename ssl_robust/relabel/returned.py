"""`ssl-robust relabel import`: answers that were given in another program -> the ledger, each once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ssl_robust import __version__
from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.data.sources import digest
from ssl_robust.exchange.queued import by_key, class_of, scan_of
from ssl_robust.files import UserError, existing
from ssl_robust.relabel.answer import Answer, reader_name
from ssl_robust.relabel.campaign import Campaign, read_campaign
from ssl_robust.relabel.foreign import READERS, Given
from ssl_robust.relabel.words import Option, read_words

_SHOWN = "imported"
_OPTIONS = {"run": Option(), "from": Option(tuple(READERS)), "path": Option(), "annotator": Option(default="")}
USAGE = "ssl-robust relabel import run=runs/review from=labelstudio path=export.json"
_HELP = f"""\
{USAGE}

  run=DIR            a campaign
  from=labelstudio   a project exported as JSON | cvat: annotations.xml of "CVAT for images 1.1" | fiftyone: a
                     FiftyOneImageClassificationDataset | csv: a table with sample_id, answer and perhaps annotator
  path=FILE          what that program wrote; the queue goes there with ssl-robust convert … queue=runs/review to=…
  annotator=NAME     who answered, where the file does not tell

Importing a file again adds nothing; answers that were changed there since are added, and count in place of the old."""


def command(words: Sequence[str]) -> Path | None:
    """Add the answers of another program to a campaign's ledger.

    Args:
        words: `run=`, `from=`, `path=` and perhaps `annotator=`, as they were typed.

    Returns:
        The campaign's directory, whose report is to be drawn; None where only help was asked for.

    Raises:
        UserError: an option does not fit, the file is of another format or other scans, or an answer is no class.
    """
    if {"-h", "--help", "help"} & set(words):
        print(_HELP)
        return None
    options = read_words(words, _OPTIONS, what="relabel import", usage=USAGE)
    campaign = read_campaign(options["run"])
    file = existing(options["path"], "path", folder=None)
    given = list(READERS[options["from"]](file))
    try:
        named = _named(given, options["annotator"], options["from"])
    except ValueError as error:
        raise UserError(f"who answered in {file}: {error}; mend it there, or give annotator=NAME") from None
    found = _of_campaign(campaign, named, file)
    n = campaign.ledger().extend(as_answers(campaign, found, source=options["from"]))
    print(f"{n:,} answers added, {len(found) - n:,} were there already")
    return campaign.place


def as_answers(campaign: Campaign, given: Iterable[tuple[str, str, str | None]], *, source: str) -> list[Answer]:
    """Lines for the ledger, without those that say what the last import said.

    Their ids follow from what they say, so that two imports of a file at once do not double it either.

    Args:
        campaign: whose ledger is asked what is there.
        given: sample_id, annotator and answer (None: unsure) of each.
        source: the program.
    """
    before: dict[tuple[str, str], list[str | None]] = {}
    for each in campaign.ledger().read():
        if each.shown == _SHOWN:
            before.setdefault((each.sample_id, each.annotator), []).append(each.answer)
    labels, now, tool = _labels(campaign), datetime.now(UTC).isoformat(timespec="seconds"), __version__
    answers = []
    for name, annotator, answer in given:
        earlier = before.setdefault((name, annotator), [])
        if earlier and earlier[-1] == answer:
            continue
        made = digest(source, name, annotator, "" if answer is None else f"={answer}", str(len(earlier)))
        earlier.append(answer)
        answers.append(Answer(made, name, labels.get(name), answer, annotator, now, 0.0, _SHOWN, campaign.blind, tool))
    return answers


def _named(given: Sequence[Given], annotator: str, source: str) -> list[Given]:
    """Answers each of which has an annotator: the one of the file, or the one that the user named.

    Raises:
        ValueError: that is no name.
    """
    given = [each._replace(annotator=reader_name(each.annotator) if each.annotator else "") for each in given]
    told = {each.annotator for each in given} - {""}
    if annotator and len(told) > 1:
        raise UserError(f"annotator={annotator} is one, and the answers are of {len(told)} people "
                        f"({', '.join(sorted(told))}); take annotator= away")  # fmt: skip
    named = reader_name(annotator) if annotator else None
    return [each._replace(annotator=named or each.annotator or source) for each in given]


def _of_campaign(campaign: Campaign, given: Sequence[Given], file: Path) -> list[tuple[str, str, str | None]]:
    """sample_id, annotator and class of the answers; those to scans of which the campaign knows nothing are counted."""
    known = by_key(campaign.control)
    found, strange = [], []
    for each in given:
        scan = next((scan for name in each.names if (scan := scan_of(name, known))), None)
        if scan is None:
            strange.append(each.names[0] if each.names else "?")
        else:
            found.append((scan, each.annotator, class_of(each.answer, campaign.classes, str(file))))
    if not given:
        raise UserError(f"{file} holds no answer; answer some scans there and export it again")
    if not found:
        raise UserError(f"{file} is of other scans (e.g. {strange[0]!r}) than {campaign.place}; give what came of "
                        f"ssl-robust convert … queue={campaign.place}")  # fmt: skip
    if strange:
        print(f"Note: {len(strange):,} answers are to scans that the campaign does not have (e.g. {strange[0]!r}); "
              "they are left out", file=sys.stderr)  # fmt: skip
    twice = [pair for pair, n in Counter((name, who) for name, who, _ in found).items() if n > 1]
    if twice:
        raise UserError(f"{file} holds several answers of {twice[0][1]!r} to {twice[0][0]!r}; keep one")
    return found


def _labels(campaign: Campaign) -> dict[str, str]:
    """The given label of each scan that was audited; of those in the queue where the audit is gone."""
    table, file = campaign.queue, find_audit_table(Path(campaign.audit).expanduser())
    if file is not None:
        table = read_audit_table(file)
    table = table[table["label"].notna()]
    return dict(zip(table["sample_id"], table["label"], strict=True))
