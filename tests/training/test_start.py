import subprocess
import sys

import pytest

SCRIPT = """
import os, sys, time
from ssl_robust.training import start

start._GRACE = 0.5
if "RANK" not in os.environ:
    sys.exit(start.start_and_wait(2))
names = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
line = " ".join([*(os.environ[name] for name in names), *sys.argv[1:]])
os.write(1, f"{line}\\n".encode())  # at once: what two processes print in pieces may mix
if os.environ["RANK"] == sys.argv[1]:
    sys.exit(int(sys.argv[2]))
if sys.argv[3:] == ["waiting"]:
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return lambda *words: subprocess.run([sys.executable, script, *words], capture_output=True, text=True, timeout=50)


def test_every_process_gets_the_same_command_and_its_number(run):
    done = run("none", "0")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == ["0 2 0 2 none 0", "1 2 1 2 none 0"]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_one_that_fails_ends_all_and_says_how(run, rank):
    assert run(rank, "2", "waiting").returncode == 2
