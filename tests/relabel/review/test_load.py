"""Readers at once and a server that is killed: nothing lost, nothing doubled. The full size is in `benchmarks/`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "review_load.py"


@pytest.mark.slow
def test_four_readers_and_a_killed_server_lose_and_double_nothing():
    command = [sys.executable, BENCHMARK, "answers", "--answers", "400", "--kills", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["lines"], told["lost"], told["doubled"], told["changed"]) == (400, 0, 0, 0)
    assert told["kills"] >= 2
