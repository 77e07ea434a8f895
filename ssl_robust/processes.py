"""Which of how many processes is this? Read off what torchrun, srun or our own start left in the environment.

Nothing heavy is imported, so that every process but the first can fall silent before torch is.
"""

from __future__ import annotations

import os
import re


def count() -> int:
    """How many processes were started for this run, on all machines together."""
    if "WORLD_SIZE" in os.environ:  # torchrun, or our own start
        return int(os.environ["WORLD_SIZE"] or 1)
    # Set by srun alone: in the script that sbatch runs there is one process, whatever SLURM_NTASKS says.
    return int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1)


def rank() -> int:
    """Number of this process, from 0; the first one writes and speaks."""
    if "WORLD_SIZE" in os.environ:
        return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)
    return int(os.environ.get("SLURM_PROCID") or 0) if count() > 1 else 0


def per_machine() -> int:
    """How many of them run on this machine.

    Raises:
        ValueError: SLURM was not told, or told another number for each machine.
    """
    if "LOCAL_WORLD_SIZE" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    if "WORLD_SIZE" in os.environ or count() == 1:  # our own start: one machine
        return count()
    if "SLURM_NTASKS_PER_NODE" not in os.environ:  # which Lightning reads
        raise ValueError("srun has to say how many processes run on each machine; add --ntasks-per-node=")
    tasks = os.environ.get("SLURM_STEP_TASKS_PER_NODE", str(count()))  # e.g. 4(x2)
    if "," in tasks:
        raise ValueError(
            f"SLURM runs {tasks} tasks on its machines; ask for the same number on each, --ntasks-per-node="
        )
    return int(re.match(r"\d+", tasks)[0])  # type: ignore[index]
