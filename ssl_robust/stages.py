"""What `ssl-robust` can be asked for: stages and commands, where they are, and what a user does afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Stage(NamedTuple):
    """A stage of the pipeline: where its function is, what it does, and what a user does afterwards.

    `{out}` and `{data}` in `next_step` become the run's directory and its overrides of `data`. `makes_run` says
    whether `out` is the directory of a run. `words` are what may stand behind the stage's name, each with its function;
    one that returns a run directory has its report drawn. `passes` are lists of overrides for other stages, to which
    `NAME.key=value` adds one. `launches` says whether the stage itself reads `launcher=`.
    """

    function: str
    summary: str
    next_step: str
    makes_run: bool = True
    words: Mapping[str, str] = MappingProxyType({})
    passes: tuple[str, ...] = ()
    launches: bool = False


class Command(NamedTuple):
    """What is done at once with the words that follow: where its function is, and what it does."""

    function: str
    summary: str


STAGES = {
    "demo": Stage("ssl_robust.demo:demo", "all three stages on embedded phantom scans, with a report", ""),
    "check": Stage(
        "ssl_robust.check.stage:check",
        "what is in the data, before training: leaks, duplicates, shortcuts",
        "mend what it found, if anything, or leave those scans out (a row each in check.csv); then learn an encoder\n"
        "  ssl-robust pretrain {data} method=simclr out={out}-ssl",
    ),
    "views": Stage(
        "ssl_robust.sheet:views",
        "draw random views of some scans, to choose views= by",
        "if every view still shows what the diagnosis needs, give the same views options to pretrain and finetune",
        makes_run=False,
    ),
    "pretrain": Stage(
        "ssl_robust.pretrain.stage:pretrain",
        "learn an encoder from the scans alone",
        "the suspect labels, where there are labels (finetune and embed take the same checkpoint= and data=)\n"
        "  ssl-robust audit checkpoint={out} {data} out={out}-audit",
    ),
    "embed": Stage(
        "ssl_robust.encoders.stage:embed_stage",
        "scans -> one vector each",
        "the suspect labels, where there are labels\n"
        "  ssl-robust audit data=embeddings data.path={out} out={out}-audit",
    ),
    "probe": Stage(
        "ssl_robust.transfer.stage:probe",
        "how good are the features, beside a random encoder and a histogram",
        "the same command with another checkpoint= and another out=; compare the probe.csv",
    ),
    "finetune": Stage(
        "ssl_robust.finetune.stage:finetune",
        "train a classifier on (noisy) labels and measure what the noise did",
        "the same command with checkpoint=none, or another noise.rate, and another out=; compare the metrics.json",
    ),
    "audit": Stage(
        "ssl_robust.audit.stage:audit",
        "rank the labels by how likely they are wrong",
        "read the suspects, with an expert, in the order of the column rank; on a page of this computer\n"
        "  ssl-robust review run={out} out={out}-review",
    ),
    "relabel": Stage(
        "ssl_robust.relabel.stage:relabel",
        "ask readers about the labels that matter, round by round",
        "let readers answer, then the next round\n"
        "  ssl-robust review run={out}\n  ssl-robust relabel resume=true out={out}",
        words={
            "adjudicate": "ssl_robust.relabel.adjudicate:command",
            "apply": "ssl_robust.relabel.apply:command",
            "report": "ssl_robust.relabel.summary:command",
            "import": "ssl_robust.relabel.returned:command",
            "simulate": "ssl_robust.relabel.simulated:command",
        },
    ),
    "review": Stage(
        "ssl_robust.relabel.review.stage:review",
        "a local page on which experts read the labels that are probably wrong",
        "read on, let what was answered choose the next scans, or take the labels as they are now\n"
        "  ssl-robust review run={out}\n  ssl-robust relabel resume=true out={out}\n"
        "  ssl-robust relabel apply run={out} out=corrected.csv",
        makes_run=False,
    ),
    "train": Stage(
        "ssl_robust.classify.train:train",
        "a good classifier from labels that may be wrong, in one command",
        "what it says of new scans, the least sure tenth left to an expert\n"
        "  ssl-robust predict classifier={out} data=folder data.path=NEW_SCANS abstain=0.1 out={out}-predictions",
    ),
    "predict": Stage(
        "ssl_robust.classify.predict:predict",
        "what a saved classifier says of new scans, and how sure it is",
        "predictions.csv in {out} has a row for each scan; those with abstained=True go to an expert first",
    ),
    "study": Stage(
        "ssl_robust.study.stage:study",
        "how much label noise hurts and what protects: a grid of trainings",
        "more cells with the same command, resume=true and more strategies, noises or seeds",
        words={"plan": "ssl_robust.study.command:plan", "report": "ssl_robust.study.command:report"},
        passes=("finetune", "pretrain"),
        launches=True,
    ),
    "convert": Stage(
        "ssl_robust.exchange.stage:convert",
        "write scans and labels for Label Studio, CVAT, FiftyOne, Datumaro, cleanlab …",
        "",
        makes_run=False,
    ),
}
# What is no stage: it writes no run and takes words rather than overrides.
COMMANDS = {
    "checkpoints": Command("ssl_robust.exports.command:checkpoints", "encoders: list, show, export to other libraries"),
    "doctor": Command("ssl_robust.doctor.command:doctor", "what this machine has, and what a planned run will cost"),
}
SHARED = ("pretrain", "embed")  # stages that several processes can do together
