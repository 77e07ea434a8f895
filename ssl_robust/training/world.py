"""The processes that train together, one per device: started, checked, and kept from doing the same work twice.

Lightning Fabric does the starting and the talking; under torchrun and srun the processes are there already.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from ssl_robust import processes
from ssl_robust.run import UserError
from ssl_robust.training.device import pick_device

T = TypeVar("T")
# Others wait while the first process decodes the scans. Who started the processes ends them all when one dies.
_PATIENCE = timedelta(days=1)


def launch(*, device: str, devices: int | str | None, prefix: str = "") -> Fabric:
    """Start the processes of a run, or join those that torchrun or srun started.

    Args:
        device: auto, cpu, cuda, cuda:N or mps.
        devices: processes on this machine, "auto" for one per GPU; None: this process alone.
        prefix: what stands before the names of these options in the configuration, e.g. "trainer.".

    Returns:
        A Fabric that is ready: rank, number of processes, collective operations.

    Raises:
        UserError: the devices asked for are not there, or do not fit the way in which the process was started.
    """
    place = pick_device(device)
    if devices is None:
        return Fabric(accelerator=place.type, devices=1 if place.index is None else [place.index])
    here, everywhere = _numbers(devices, place, prefix)
    if everywhere == 1:
        return Fabric(accelerator=place.type, devices=1)
    # Means, variances and queues are equal everywhere by themselves, so buffers need not be sent around.
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    sending = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch < 2.15
    options: dict[str, Any] = {"timeout": _PATIENCE, sending: False}
    ddp = DDPStrategy(**options)
    for library in ("lightning.fabric", "lightning.pytorch"):  # which announce every process
        logging.getLogger(library).setLevel(logging.WARNING)
    fabric = Fabric(accelerator=place.type, devices=here, num_nodes=everywhere // here, strategy=ddp)
    fabric.launch()
    atexit.register(_end, ddp)
    print(f"{fabric.world_size} processes share the work, {here} on each machine, on {place.type}", flush=True)
    return fabric


def in_turn(fabric: Fabric, work: Callable[[], T]) -> T:
    """`work` in every process: in the first one, then in the first of each machine, then in the others.

    What the earlier ones leave on disk the later ones find, be the disk shared by the machines or not.

    Raises:
        UserError: the work failed in any process; each of them raises.
    """
    if fabric.world_size == 1:
        return work()
    turn = 0 if fabric.is_global_zero else 1 if fabric.local_rank == 0 else 2
    result: list[T] = []
    failure: UserError | None = None
    for each in range(3):
        if each == turn:
            try:
                result.append(work())
            except UserError as error:
                failure = error
        told: list[str | None] = [None] * fabric.world_size
        torch.distributed.all_gather_object(told, None if failure is None else str(failure))
        if any(told):
            raise failure or UserError(next(message for message in told if message))
    return result[0]


def gather_rows(fabric: Fabric, rows: np.ndarray) -> np.ndarray:
    """(n, …) rows of each process -> those of all, in the order of the processes."""
    if fabric.world_size == 1:
        return rows
    parts: list[np.ndarray] = [rows] * fabric.world_size
    torch.distributed.all_gather_object(parts, rows)
    return np.concatenate(parts)


def _numbers(wanted: int | str, device: torch.device, prefix: str) -> tuple[int, int]:
    """Processes on this machine and on all machines together."""
    if wanted != "auto" and (not isinstance(wanted, int) or wanted < 1):
        raise UserError(f"{prefix}devices={wanted} does not fit; expected auto or a whole number above 0")
    if device.index is not None:
        raise UserError(f"{prefix}device={device} names one GPU and {prefix}devices={wanted} a number; leave one out")
    if device.type == "mps":
        raise UserError(f"several processes cannot use mps; take one, or add {prefix}device=cpu")
    present = torch.cuda.device_count() if device.type == "cuda" else 1
    if processes.count() > 1:
        try:
            here = processes.per_machine()
        except ValueError as error:
            raise UserError(str(error)) from None
        if wanted not in ("auto", here):
            raise UserError(f"{prefix}devices={wanted}, but {here} processes run on this machine; leave it out")
    else:
        here = present if wanted == "auto" else int(wanted)
        _check_own_start(here)
    if device.type == "cuda" and here > present:
        raise UserError(f"{here} processes need as many GPUs, this machine has {present}; lower {prefix}devices")
    return here, max(here, processes.count())


def _check_own_start(n: int) -> None:
    """Our own start runs the same command line again, which a sweep's is not."""
    from hydra.core.hydra_config import HydraConfig

    if n > 1 and HydraConfig.initialized():
        raise UserError("a run of a sweep cannot start further processes; let SLURM start them, or leave out -m")
    if "SLURM_NTASKS" in os.environ and os.environ["SLURM_NTASKS"] != "1" and "SLURM_STEP_ID" not in os.environ:
        raise UserError(f"SLURM reserved {os.environ['SLURM_NTASKS']} tasks, but runs one process; start it with srun")


def _end(strategy: DDPStrategy) -> None:
    """Processes of our own start do not outlive the first one."""
    for process in getattr(strategy.launcher, "procs", []):
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:  # it waits for a word of the first one, which has failed
            process.kill()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
