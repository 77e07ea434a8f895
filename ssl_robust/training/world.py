"""The processes that work together, one per device: started, checked, and kept from doing the same work twice.

Lightning Fabric does the talking; torchrun, srun or `start` the starting.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies import DDPStrategy
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from ssl_robust import processes
from ssl_robust.run import UserError
from ssl_robust.training.device import pick_device
from ssl_robust.training.start import start_and_wait

T = TypeVar("T")
# Others wait while the first process decodes the scans. Who started the processes ends them all when one dies.
_PATIENCE = timedelta(days=1)


def launch(*, device: str, devices: int | str | None, prefix: str = "") -> Fabric:
    """Start the processes of a run, or join those that torchrun or srun started.

    Where it starts processes itself, each runs the command line anew, and this one only waits for them and exits.

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
    here, everywhere = (1, 1) if devices is None else _numbers(devices, place, prefix)
    if everywhere == 1:
        one = 1 if place.index is None else [place.index]
        return Fabric(accelerator=place.type, devices=one, plugins=[LightningEnvironment()])
    if processes.count() == 1:
        sys.exit(start_and_wait(here))
    # Means, variances and queues are equal everywhere by themselves, so buffers need not be sent around.
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    sending = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch < 2.15
    options: dict[str, Any] = {"timeout": _PATIENCE, sending: False}
    for library in ("lightning.fabric", "lightning.pytorch"):  # which announce every process
        logging.getLogger(library).setLevel(logging.WARNING)
    nodes = everywhere // here
    fabric = Fabric(accelerator=place.type, devices=here, num_nodes=nodes, strategy=DDPStrategy(**options))
    fabric.launch()
    print(f"{fabric.world_size} processes share the work, {here} on each machine, on {place.type}", flush=True)
    return fabric


def together(fabric: Fabric, work: Callable[[], T]) -> T:
    """`work` in every process at once; if it fails in any of them it fails in all, so that none waits for another.

    Raises:
        UserError: the work failed in another process.
    """
    result, failure = None, None
    try:
        result = work()
    except Exception as error:
        failure = error
    _share(fabric, failure)
    return result  # type: ignore[return-value]


def in_turn(fabric: Fabric, work: Callable[[], T]) -> T:
    """`work` in every process: in the first one, then in the first of each machine, then in the others.

    What the earlier ones leave on disk the later ones find, be the disk shared by the machines or not.

    Raises:
        UserError: the work failed in another process.
    """
    turn = 0 if fabric.is_global_zero else 1 if fabric.local_rank == 0 else 2
    result: list[T] = []
    for each in range(3 if fabric.world_size > 1 else 1):
        together(fabric, lambda mine=each == turn: result.append(work()) if mine else None)
    return result[0]


def check_same_everywhere(fabric: Fabric, value: Any, otherwise: str) -> None:
    """Processes that began differently would wait for one another, or learn something else.

    Raises:
        UserError: `value` differs between processes; `otherwise` is the sentence.
    """
    if fabric.world_size > 1:
        values: list[Any] = [None] * fabric.world_size
        torch.distributed.all_gather_object(values, value)
        if any(each != values[0] for each in values):
            raise UserError(otherwise)


def mean_of_all(fabric: Fabric, value: Tensor) -> Tensor:
    """Mean over the processes, in place; without the barrier of Fabric's own, which waits for the device."""
    if fabric.world_size > 1:
        torch.distributed.all_reduce(value)
        value /= fabric.world_size
    return value


def gather_rows(fabric: Fabric, rows: np.ndarray) -> np.ndarray:
    """(n, …) rows of each process -> those of all, in the order of the processes."""
    if fabric.world_size == 1:
        return rows
    parts: list[np.ndarray] = [rows] * fabric.world_size
    torch.distributed.all_gather_object(parts, rows)
    return np.concatenate(parts)


def _share(fabric: Fabric, failure: Exception | None) -> None:
    """Raise the own failure, or else one that another process tells."""
    told: list[str | None] = [None if failure is None else f"{failure}" or type(failure).__name__]
    if fabric.world_size > 1:
        told *= fabric.world_size
        torch.distributed.all_gather_object(told, told[0])
    if failure is not None:
        raise failure
    if messages := [message for message in told if message]:
        raise UserError(messages[0])


def _numbers(wanted: int | str, device: torch.device, prefix: str) -> tuple[int, int]:
    """Processes on this machine and on all machines together."""
    if wanted != "auto" and (not isinstance(wanted, int) or wanted < 1):
        raise UserError(f"{prefix}devices={wanted} does not fit; expected auto or a whole number above 0")
    if device.index is not None:
        raise UserError(f"{prefix}device={device} names one GPU and {prefix}devices={wanted} a number; leave one out")
    if device.type == "mps":
        raise UserError(f"several processes cannot use mps; take one, or add {prefix}device=cpu")
    present = torch.cuda.device_count() if device.type == "cuda" else 1
    if processes.count() == 1:
        here = present if wanted == "auto" else int(wanted)
        _check_own_start(here)
        if device.type == "cuda" and here > present:
            raise UserError(f"{here} processes need as many GPUs, this machine has {present}; lower {prefix}devices")
        return here, here
    try:
        here = processes.per_machine()
    except ValueError as error:
        raise UserError(str(error)) from None
    if wanted not in ("auto", here):
        raise UserError(f"{prefix}devices={wanted}, but {here} processes run on this machine; leave it out")
    if device.type == "cuda" and here > present:
        raise UserError(
            f"{here} processes run on this machine, and each sees {present} GPUs; start as many as there are GPUs, and "
            "with SLURM say --gpus-per-node in place of --gpus-per-task"
        )
    return here, processes.count()


def _check_own_start(n: int) -> None:
    """Our own start runs the same command line again, which a sweep's is not, and which SLURM may not have meant."""
    from hydra.core.hydra_config import HydraConfig

    if n > 1 and HydraConfig.initialized():
        raise UserError("a run of a sweep takes one process; leave out -m to train with several")
    reserved = os.environ.get("SLURM_NTASKS", "1")
    if reserved != "1" and "SLURM_STEP_ID" not in os.environ:
        raise UserError(f"SLURM reserved {reserved} tasks, but runs one process; start it with srun")
