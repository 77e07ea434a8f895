"""`ssl-robust relabel apply`: what the readers settled -> a new table of labels, which every stage reads.

The table has a line for each scan. `data.labels=TABLE` lays its labels over the same data, of whatever kind they are;
the data, and the ledger, stay as they are.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.data.votes import RULES
from ssl_robust.data.written import write_table
from ssl_robust.encoders.places import DEFAULT
from ssl_robust.files import UserError, printable
from ssl_robust.relabel.campaign import Campaign, read_campaign
from ssl_robust.relabel.corrected import UNSURE, Corrected, corrected
from ssl_robust.relabel.summary import write_summary
from ssl_robust.relabel.words import Option, data_words, read_words
from ssl_robust.run import read_run

_OPTIONS = {
    "run": Option(),
    "out": Option(),
    "consensus": Option(RULES, "majority"),
    "unsure": Option(UNSURE, "keep"),
    "overwrite": Option(("true", "false"), "false"),
}
USAGE = "ssl-robust relabel apply run=runs/review out=corrected.csv"
_HELP = f"""\
{USAGE}

  run=DIR             a campaign
  out=FILE.csv        the new table of labels; the data stay as they are, and so does what the readers said
  consensus=majority  of several readers: majority (in a tie the label stays) | dawid_skene (three readers or more)
  unsure=keep         scans of which nobody was sure: keep their label | drop it
  overwrite=false     true: replace the table that is there"""


def command(words: Sequence[str]) -> None:
    """Write the table of corrected labels, and say what to do with it.

    Args:
        words: `run=`, `out=` and perhaps the other options, as they were typed.

    Raises:
        UserError: an option does not fit, nobody has answered, or the data are no longer there.
    """
    if {"-h", "--help", "help"} & set(words):
        print(_HELP)
        return
    options = read_words(words, _OPTIONS, what="relabel apply", usage=USAGE)
    campaign = read_campaign(options["run"])
    audited = read_run(Path(campaign.audit).expanduser(), stage="audit")["config"]
    out = _free_place(options["out"], audited["data"], overwrite=options["overwrite"] == "true")
    made = corrected(campaign, audited["data"], rule=options["consensus"], unsure=options["unsure"])
    write_summary(campaign)
    write_table(out, made.table)
    print(f"\nWrote {printable(str(out))}: {_in_words(made, options['unsure'])}")
    print("Next: a classifier from these labels, and a look at what is wrong still")
    for each in _next(campaign, audited, options["run"], out):
        print(f"  ssl-robust {printable(each)}")


def _free_place(out: str, data: Mapping[str, Any], *, overwrite: bool) -> Path:
    """Where the table goes: never over the data themselves, and over an earlier one only if asked to."""
    path = Path(out).expanduser()
    if path.suffix.lower() != ".csv" or path.is_dir():
        raise UserError(f"out={out} names no CSV file; give one, e.g. out=corrected.csv")
    for option in ("path", "index", "labels"):
        if data.get(option) and Path(str(data[option])).expanduser().resolve() == path.resolve():
            raise UserError(f"out={out} is what data.{option} reads, and that stays as it is; choose another out=")
    if path.exists() and not overwrite:
        raise UserError(f"out={out} is there already; choose another out=, or add overwrite=true to replace it")
    return path


def _in_words(made: Corrected, unsure: str) -> str:
    parts = [f"{made.n_changed:,} labels corrected", f"{made.n_confirmed:,} confirmed"]
    if made.n_unsure:
        what = "keep their label (unsure=drop takes it away)" if unsure == "keep" else "lose it"
        parts.append(f"{made.n_unsure:,} of which nobody was sure {what}")
    if made.n_open:
        parts.append(f"{made.n_open:,} keep their label until readers agree, or more have looked")
    return ", ".join(parts)


def _next(campaign: Campaign, audited: Mapping[str, Any], run: str, out: Path) -> list[str]:
    """Commands that read the table, without the program's name."""
    encoder = []
    if audited["checkpoint"] not in (None, DEFAULT):
        encoder = [f"checkpoint={audited['checkpoint']}"]
    data = dict(audited["data"])
    if str(data["_target_"]).endswith(".read_embeddings"):  # the new table has the names of this package
        data["columns"] = dict.fromkeys(data["columns"])
    stages = [("audit", data)] if campaign.data is None else [("train", campaign.data), ("audit", data)]
    return [
        " ".join((stage, data_words(node, labels=str(out)), *map(shlex.quote, (*encoder, f"out={_new(run, stage)}"))))
        for stage, node in stages
    ]


def _new(run: str, stage: str) -> Path:
    """A directory beside the campaign's that is not there yet: `runs/review-audit`, `runs/review-audit-2`, …"""
    path, number = Path(f"{Path(run)}-{stage}"), 2
    while path.exists():
        path, number = Path(f"{Path(run)}-{stage}-{number}"), number + 1
    return path
