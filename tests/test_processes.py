import pytest

from ssl_robust import processes

TORCHRUN = {"WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
OWN_START = {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "NODE_RANK": "0"}
SRUN = {"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3",
        "SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_NTASKS_PER_NODE": "4"}  # fmt: skip
SBATCH = {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}  # its script alone, without srun
ALL = {*TORCHRUN, *OWN_START, *SRUN}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, (1, 0, 1)), (TORCHRUN, (8, 5, 4)), (OWN_START, (2, 1, 2)), (SRUN, (8, 3, 4)), (SBATCH, (1, 0, 1))],
    ids=["alone", "torchrun", "own start", "srun", "sbatch"],
)
def test_the_environment_says_which_process_this_is(monkeypatch, variables, expected):
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (processes.count(), processes.rank(), processes.per_machine()) == expected


def test_srun_must_say_how_many_run_on_each_machine(monkeypatch):
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    for name, value in SRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(ValueError, match="add --ntasks-per-node="):
        processes.per_machine()


def test_unequal_machines_are_refused(monkeypatch):
    for name, value in {**SRUN, "SLURM_STEP_TASKS_PER_NODE": "5,3"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="SLURM runs 5,3 tasks on its machines; ask for the same number on each"):
        processes.per_machine()
