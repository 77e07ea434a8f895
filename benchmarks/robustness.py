"""Label noise: what it does to a classifier, from scratch and from an encoder, and whether the audit finds it.

    python benchmarks/robustness.py --checkpoint runs/cxr --rates 0 0.2 0.4 --seeds 0 --out cxr.json -- \
        data=npz data.path=cxr_pneumonia_64.npz data.index=cxr_pneumonia_index.csv.gz \
        data.columns.patient_id=group_id views=xray trainer.max_epochs=12

Everything after `--` goes to `ssl-robust finetune`. Finished cells of `--out` are kept: a killed benchmark continues.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from ssl_robust.audit.stage import audit
from ssl_robust.finetune.stage import finetune
from ssl_robust.run import read_json, write_json
from ssl_robust.settings import compose

SHOWN = ("balanced_accuracy", "worst_class_recall", "auroc", "ece")


def noise(rate: float) -> list[str]:
    return ["noise=symmetric", f"noise.rate={rate}"] if rate else ["noise=none"]


def train(init: str, rate: float, seed: int, options: argparse.Namespace, out: Path) -> dict:
    checkpoint = ["checkpoint=none", f"encoder={options.encoder}"]
    if init == "pretrained":
        checkpoint = [f"checkpoint='{options.checkpoint}'"]
    started = time.monotonic()
    common = [*options.overrides, *checkpoint, *noise(rate), f"seed={seed}", f"out='{out}'"]
    measures = read_json(finetune(compose("finetune", common)) / "metrics.json")
    return {
        **{f"best {name}": measures["best"][name] for name in SHOWN},
        **{f"last {name}": measures["last"][name] for name in SHOWN},
        "minutes": (time.monotonic() - started) / 60,
    }


def find(checkpoint: str, seed: int, options: argparse.Namespace, out: Path) -> dict:
    data = [each for each in options.overrides if each.split("=")[0].split(".")[0] == "data"]
    common = [*data, f"checkpoint='{checkpoint}'", *noise(options.audit_rate), f"seed={seed}", f"out='{out}'"]
    if checkpoint == "none":
        common.append(f"encoder={options.encoder}")
    return read_json(audit(compose("audit", common)) / "audit.json")["truth"]


def table(cells: list[dict]) -> str:
    names = [name for name in cells[0] if name not in ("init", "rate", "seed")]
    head = ["init", "noise", "seed", *names]
    rows = [
        [each["init"], f"{each['rate']:.0%}", str(each["seed"]), *(f"{each[name]:.3f}" for name in names)]
        for each in cells
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def main() -> None:
    """Fill the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="directory of a pretraining run")
    parser.add_argument("--encoder", default="regnetx_002", help="the network from scratch")
    parser.add_argument("--rates", nargs="+", type=float, default=[0.0, 0.2, 0.4])
    parser.add_argument("--audit-rate", type=float, default=0.2)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    result = json.loads(options.out.read_text()) if options.out.exists() else {"finetune": [], "audit": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for init, checkpoint in (("scratch", "none"), ("pretrained", options.checkpoint)):
                for rate in options.rates:
                    key = {"init": init, "rate": rate, "seed": seed}
                    if any(key.items() <= each.items() for each in result["finetune"]):
                        continue
                    cell = train(init, rate, seed, options, Path(folder) / f"{init}-{rate}-{seed}")
                    result["finetune"].append({**key, **cell})
                    write_json(options.out, result)
                    print(table(result["finetune"]), flush=True)
                key = {"init": init, "seed": seed}
                if not any(key.items() <= each.items() for each in result["audit"]):
                    truth = find(checkpoint, seed, options, Path(folder) / f"audit-{init}-{seed}")
                    result["audit"].append({**key, **truth})
                    write_json(options.out, result)
                    print(json.dumps(result["audit"][-1]), flush=True)


if __name__ == "__main__":
    main()
