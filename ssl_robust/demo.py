"""All three stages on the embedded phantoms, for the newcomer: one command, one report.

Each stage runs through the same configuration and the same function as on the user's own scans; nothing here is
special to the demo but the sizes, which live in `configs/demo.yaml`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust.overrides import check
from ssl_robust.quoting import quote_path
from ssl_robust.run import Run, write_json
from ssl_robust.settings import compose

if TYPE_CHECKING:
    from omegaconf import DictConfig


def demo(config: DictConfig) -> Path:
    """Pretrain, fine-tune from scratch and from the encoder at every noise rate, audit.

    Args:
        config: composed from `configs/demo.yaml`.

    Returns:
        The run directory: one sub-directory a run, and `demo.json`, which names them for the report.

    Raises:
        UserError: the directory holds something else, or a stage does not take its overrides.
    """
    from omegaconf import OmegaConf

    from ssl_robust.audit.stage import audit
    from ssl_robust.finetune.stage import finetune
    from ssl_robust.pretrain.stage import pretrain

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    started = time.monotonic()
    common = [*settings["data"], f"seed={config.seed}"]
    own = [f"method={config.method}", f"encoder={config.encoder}"]
    # A typo is told before the first stage starts, not after minutes of work; what each start adds is left out.
    check("pretrain", [*common, *own, *map(str, settings["pretrain"])])
    check("finetune", [*common, "checkpoint=none", "noise=symmetric", *map(str, settings["finetune"])])
    check("audit", [*common, *map(str, settings["audit"])])
    with Run(config.out, stage="demo", config=settings, resume=config.resume, overwrite=config.overwrite) as run:

        def start(stage: str, name: str, overrides: Sequence[str]) -> Any:
            print(f"\n== {stage}: {name}", flush=True)
            place = [quote_path("out", run / name), f"resume={(run / name).exists()}"]
            return compose(stage, [*common, *overrides, *place])

        encoder = quote_path("checkpoint", run / "ssl")
        scratch = ["checkpoint=none", f"encoder={config.encoder}"]
        pretrain(start("pretrain", "ssl", [*own, *config.pretrain]))
        finetuned = []
        for rate in settings["rates"]:
            for init, origin in (("scratch", scratch), ("pretrained", [encoder])):
                name = f"ft-{init}-{round(100 * rate):02d}"
                noise = ["noise=symmetric", f"noise.rate={rate}"] if rate else ["noise=none"]
                finetune(start("finetune", name, [*origin, *noise, *config.finetune]))
                finetuned.append({"init": init, "rate": rate, "run": name})
        audit(start("audit", "audit", [encoder, *config.audit]))
        minutes = (time.monotonic() - started) / 60
        write_json(run / "demo.json", {"pretrain": "ssl", "audit": "audit", "finetune": finetuned, "minutes": minutes})
    return run.path
