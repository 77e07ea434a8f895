"""What runs a sweep has, and how they are named."""

from ssl_robust.quoting import quote_paths
from ssl_robust.sweep.plan import plan


def test_the_last_option_changes_fastest_and_folders_name_what_differs():
    runs = plan(["method=simclr,byol", "seed=0,1", "trainer.max_epochs=3"], out="runs/x")
    assert [run.label for run in runs] == [
        "method-simclr_seed-0", "method-simclr_seed-1", "method-byol_seed-0", "method-byol_seed-1",
    ]  # fmt: skip
    assert runs[1].values == {"method": "simclr", "seed": 1}
    assert {run.home for run in runs} == {"runs/x"}


def test_values_reach_the_table_without_hydras_quotes():
    runs = plan(["data.path='a b/it\\'s','c'", "out='My (runs)'"], out="runs/x")
    assert [run.values for run in runs] == [{"data.path": "a b/it's"}, {"data.path": "c"}]
    assert {run.home for run in runs} == {"My (runs)"}
    assert len({run.label for run in runs}) == 2


def test_folders_of_a_sweep_over_out_and_of_a_single_run():
    assert [(run.home, run.label) for run in plan(["out=a,b"], out="x")] == [("a", "0"), ("b", "1")]
    assert [run.label for run in plan(["seed=3"], out="x")] == ["0"]


def test_hydras_names_of_launchers_are_understood():
    typed = ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5", "hydra/launcher=joblib"]
    assert quote_paths(typed, sweep=True) == ["launcher=slurm", "launcher.timeout_min=5", "launcher=joblib"]
