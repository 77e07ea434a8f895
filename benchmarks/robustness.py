"""Label noise: what it does to a classifier, from scratch and from an encoder, and whether the audit finds it.

    python benchmarks/robustness.py --checkpoint runs/cxr --rates 0 0.2 0.4 --seeds 0 1 2 --out cxr.json -- \
        data=npz data.path=cxr_pneumonia_64.npz data.index=cxr_pneumonia_index.csv.gz \
        data.columns.patient_id=group_id views=xray trainer.max_epochs=12

From scratch means random weights in the checkpoint's own architecture and size of scans. Everything after `--` goes to
`ssl-robust finetune`. Tables show mean ± standard deviation over the seeds. Finished cells of `--out` are kept, so a
killed benchmark continues.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from ssl_robust.audit.stage import audit
from ssl_robust.encoders.card import read_card
from ssl_robust.encoders.checkpoint import find_checkpoint
from ssl_robust.finetune.stage import finetune
from ssl_robust.quoting import quote_path, quote_paths
from ssl_robust.run import read_json, write_json
from ssl_robust.settings import compose

SHOWN = ("balanced_accuracy", "worst_class_recall", "auroc", "ece")
FOUND = {"AUROC": ("auroc",), "average precision": ("average_precision",), "wrong among as many as are wrong":
         ("precision_at", "n_wrong")}  # fmt: skip


def noise(rate: float) -> list[str]:
    return ["noise=symmetric", f"noise.rate={rate}"] if rate else ["noise=none"]


def configured(stage: str, init: str, checkpoint: str, overrides: list[str]) -> DictConfig:
    """The stage's configuration; from scratch with the network and the scans' size that the checkpoint's card names."""
    if init == "pretrained":
        return compose(stage, [*overrides, quote_path("checkpoint", checkpoint)])
    card = read_card(find_checkpoint(checkpoint))
    same = [f"data.image_size={card.input_size}", f"data.channels={card.in_chans}", f"encoder={card.architecture}"]
    config = compose(stage, [*same, *overrides, "checkpoint=none"])
    config.encoder_args = card.model_args
    return config


def train(init: str, rate: float, seed: int, options: argparse.Namespace, out: Path) -> dict:
    started = time.monotonic()
    common = [*options.overrides, *noise(rate), f"seed={seed}", quote_path("out", out)]
    measures = read_json(finetune(configured("finetune", init, options.checkpoint, common)) / "metrics.json")
    return {
        **{f"best {name}": measures["best"][name] for name in SHOWN},
        **{f"last {name}": measures["last"][name] for name in SHOWN},
        "minutes": (time.monotonic() - started) / 60,
    }


def find(init: str, seed: int, options: argparse.Namespace, out: Path) -> dict:
    data = [each for each in options.overrides if each.split("=")[0].split(".")[0] == "data"]
    common = [*data, *noise(options.audit_rate), f"seed={seed}", quote_path("out", out)]
    return read_json(audit(configured("audit", init, options.checkpoint, common)) / "audit.json")["truth"]


def measured(cell: dict, path: tuple[str, ...]) -> float:
    """A measure of an audit: the estimate, without its interval."""
    for name in path:
        cell = cell[name]
    return cell["estimate"]


def table(cells: list[dict], keys: tuple[str, ...]) -> str:
    """One row per value of the keys, mean ± standard deviation over the seeds."""
    names = [name for name in cells[0] if name not in (*keys, "seed")]
    head = [*keys, *names, "seeds"]
    rows = []
    for key in dict.fromkeys(tuple(each[name] for name in keys) for each in cells):
        mine = [each for each in cells if tuple(each[name] for name in keys) == key]
        shown = [f"{value:.0%}" if isinstance(value, float) else str(value) for value in key]
        for name in names:
            values = [each[name] for each in mine]
            spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
            shown.append(f"{np.mean(values):.3f}{spread}")
        rows.append([*shown, str(len(mine))])
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def show(result: dict) -> None:
    if result["finetune"]:
        print(table(result["finetune"], ("init", "rate")), flush=True)
    found = [
        {"init": each["init"], "seed": each["seed"], **{name: measured(each, path) for name, path in FOUND.items()}}
        for each in result["audit"]
    ]
    if found:
        print("\nAudit:\n" + table(found, ("init",)), flush=True)


def missing(cells: list[dict], key: dict) -> bool:
    return not any(key.items() <= each.items() for each in cells)


def main() -> None:
    """Fill the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="directory of a pretraining run")
    parser.add_argument("--rates", nargs="+", type=float, default=[0.0, 0.2, 0.4])
    parser.add_argument("--audit-rate", type=float, default=0.2)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    options.overrides = quote_paths(options.overrides, sweep=False)
    result = json.loads(options.out.read_text()) if options.out.exists() else {"finetune": [], "audit": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for init in ("scratch", "pretrained"):
                for rate in options.rates:
                    key = {"init": init, "rate": rate, "seed": seed}
                    if missing(result["finetune"], key):
                        cell = train(init, rate, seed, options, Path(folder) / f"{init}-{rate}-{seed}")
                        result["finetune"].append({**key, **cell})
                        write_json(options.out, result)
                        show(result)
                key = {"init": init, "seed": seed}
                if missing(result["audit"], key):
                    result["audit"].append({**key, **find(init, seed, options, Path(folder) / f"audit-{init}-{seed}")})
                    write_json(options.out, result)
    show(result)


if __name__ == "__main__":
    main()
