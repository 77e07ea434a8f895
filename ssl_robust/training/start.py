"""Several processes on this machine, started and watched by the one that was called; torchrun does so for clusters."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

_GRACE = 10.0  # seconds in which the others may end by themselves once one has failed


def start_and_wait(n: int) -> int:
    """Run this very command line as n processes; returns the exit code, that of the first one if it failed.

    Args:
        n: processes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n, "GROUP_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "own", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", max(1, _n_cores() // n)),
    }  # fmt: skip
    children = []
    for rank in range(n):
        variables = {name: str(value) for name, value in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}
        children.append(subprocess.Popen(_command(), env={**os.environ, **variables}))
    try:
        return _watch(children)
    except KeyboardInterrupt:  # the terminal has told the children as well, of whom the first one answers
        _wait(children)
        return 2
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()


def _watch(children: Sequence[subprocess.Popen]) -> int:
    while any(child.poll() is None for child in children) and not any(child.poll() for child in children):
        time.sleep(0.1)
    _wait(children)
    failed = [child.returncode for child in children if child.returncode]
    return max(1, failed[0]) if failed else 0


def _wait(children: Sequence[subprocess.Popen]) -> None:
    end = time.monotonic() + _GRACE
    while any(child.poll() is None for child in children) and time.monotonic() < end:
        time.sleep(0.1)


def _command() -> list[str]:
    import __main__

    module = getattr(__main__, "__spec__", None)
    return [sys.executable, *(["-m", module.name] if module else [os.path.abspath(sys.argv[0])]), *sys.argv[1:]]


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
