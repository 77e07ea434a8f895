import re

import pytest

from ssl_robust.overrides import check
from ssl_robust.quoting import quote_paths
from ssl_robust.run import UserError

NPZ = ["data=npz", "data.path='a.npz'"]


@pytest.mark.parametrize(
    "path",
    ["plain.npz", "a b.npz", "Müller (2024)/a,b.npz", "x=1.npz", "it's.npz", 'say "a".npz', "[a]{b}.npz", "C:\\scans\\",
     "a\\'b", "~/scans", "100 %", "#1", "a:b"],
)  # fmt: skip
def test_any_path_reaches_the_stage_as_typed(path):
    config, _ = check("embed", quote_paths(["data=npz", f"data.path={path}", "checkpoint=none"], sweep=False))
    assert config.data.path == path


def test_a_sweep_splits_at_commas_unless_the_path_exists(tmp_path):
    folder = tmp_path / "a,b"
    assert quote_paths([f"data.path={folder}"], sweep=True) == [f"data.path={folder}"]
    folder.mkdir()
    assert quote_paths([f"data.path={folder}"], sweep=True) == [f"data.path='{folder}'"]


@pytest.mark.parametrize(
    ("stage", "overrides", "sentence"),
    [
        ("pretrain", NPZ, "method= is missing; choose one of barlow_twins, byol"),
        ("pretrain", [*NPZ, "method=simclrr"], "method=simclrr does not exist, did you mean simclr"),
        ("pretrain", ["data=nzp"], "data=nzp does not exist, did you mean npz; choose one of"),
        ("audit", ["data=embeddings", "data.label=a.csv"], "audit has no option data.label, did you mean data.labels"),
        ("pretrain", ["data=npz", "data.pth=a.npz"], "pretrain has no option data.pth, did you mean data.path"),
        ("pretrain", [*NPZ, "method=simclr", "method.temprature=1"], "did you mean method.temperature"),
        ("pretrain", [*NPZ, "method=simclr", "trainer.max_epoch=1"], "did you mean trainer.max_epochs"),
        ("pretrain", [*NPZ, "method=simclr", "epochs=1"], "no option epochs, did you mean trainer.max_epochs;"),
        ("pretrain", [*NPZ, "method=simclr", "lr=1"], "no option lr, did you mean optim.lr;"),
        ("pretrain", [*NPZ, "method=simclr", "size=1"], "did you mean data.image_size or trainer.batch_size;"),
        ("pretrain", ["data=npz", "method=simclr"], "pretrain needs data.path=…"),
        ("pretrain", [*NPZ, "method=simclr", "trainer.max_epochs=many"], "expected a whole number such as"),
        ("pretrain", [*NPZ, "method=simclr", "optim.lr=fast"], "expected a number above 0 such as"),
        ("pretrain", [*NPZ, "method=simclr", "resume=maybe"], "expected true or false"),
        ("pretrain", [*NPZ, "method=simclr", "seed=-1"], "seed=-1 does not fit, expected a whole number from 0"),
        ("pretrain", [*NPZ, "method=simclr", "seed=null"], "seed=null does not fit"),
        ("pretrain", [*NPZ, "method=simclr", "data.split_seed=4294967296"], "expected a whole number from 0"),
        ("pretrain", [*NPZ, "method=simclr", "seed=true"], "seed=True does not fit"),
        ("pretrain", [*NPZ, "method=simclr", "optim.lr=nan"], "expected a number above 0 such as"),
        ("pretrain", [*NPZ, "method=simclr", "resume=null"], "resume=null does not fit, expected true or false"),
        ("embed", [*NPZ, "checkpoint=none", "batch_size=inf"], "batch_size=inf does not fit, expected a whole number"),
        ("embed", [*NPZ, "checkpoint=none", "batch_size=8.0"], "batch_size=8.0 does not fit, expected a whole number"),
        ("audit", [*NPZ, "checkpoint=none", "neighbors.k=null"], "neighbors.k=null does not fit"),
        (
            "pretrain",
            [*NPZ, "method=simclr", "views.blur=0"],
            "views.blur=0 does not fit, expected one of its parts, e.g. views.blur.p=",
        ),
        ("pretrain", ["--epochs", "5"], "without dashes"),
        ("pretrain", ["simclr"], "is not of the form key=value"),
        ("pretrain", [*NPZ, "method=simclr", "encoder=[a"], "opens [ and does not close it"),
        ("pretrain", [*NPZ, "method=simclr,byol"], "add -m to run them all"),
        ("finetune", [*NPZ, "checkpoint=none", "noise=symetric"], "did you mean symmetric"),
        ("pretrain", [*NPZ, "method=simclr", "noise=symmetric"], "pretrain has no group noise; take noise= away"),
        (
            "demo",
            ["pretrain='[trainer.max_epochs=2]'"],
            "expected a list such as 'pretrain=[\"trainer.max_epochs=22\"]'",
        ),
        ("demo", ["pretrain=[trainer.max_epochs=2]"], "put its parts in quotes: 'pretrain=[\"…\"]'"),
        (
            "finetune",
            [*NPZ, "checkpoint=none", "noise.rate=0.4"],
            "add noise=class_dependent or noise=instance_dependent or noise=symmetric",
        ),
        ("finetune", [*NPZ, "checkpoint=none", "noise.rat=0.4"], "has no option noise.rat, did you mean noise;"),
        (
            "finetune",
            [*NPZ, "checkpoint=none", "strategy=coteaching_oracle"],
            "strategy=coteaching_oracle is told the rate of the noise that is made, and noise=none has none; choose",
        ),
        (
            "finetune",
            [*NPZ, "checkpoint=none", "strategy=coteaching_oracle", "noise=raters"],
            "noise=raters with a matrix has none; choose noise=symmetric noise.rate=0.4, or strategy=coteaching, which",
        ),
        ("pretrain", ["data = folder"], "has spaces around =; write data=folder"),
        ("pretrain", [*NPZ, "method=simclr", "optim.lr=-1"], "optim.lr=-1 does not fit, expected a number above 0"),
        ("pretrain", [*NPZ, "method=simclr", "optim.lr=0"], "optim.lr=0 does not fit, expected a number above 0"),
        ("demo", ["data=folder"], "demo chooses data itself"),
    ],
)
def test_one_sentence_names_the_mistake_and_the_fix(stage, overrides, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)) as error:
        check(stage, overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "argument", ["encoder_args={patch_size:8}", "encoder_args.patch_size=8", "+encoder_args.patch_size=8"]
)
def test_arguments_of_the_encoder_need_no_plus(argument):
    data = ["data=npz", "data.path=scans.npz", "method=simclr"]
    config, _ = check("pretrain", quote_paths([*data, argument], sweep=False))
    assert config.encoder_args == {"patch_size": 8}


def test_a_typo_is_told_before_a_missing_group():
    with pytest.raises(UserError, match=r"data\.pth"):
        check("pretrain", ["data=npz", "data.pth=a.npz"])


def test_help_fills_what_is_missing():
    config, overrides = check("pretrain", [], fill=True)
    assert overrides[-1] == "method=simclr"
    assert "crops" in config.method


def test_every_value_of_a_sweep_is_checked():
    config, overrides = check("pretrain", [*NPZ, "method=simclr,byol", "seed=0,1"], sweep=True)
    assert overrides[-1] == "seed=0,1"
    assert config.seed == 0
    with pytest.raises(UserError, match="did you mean byol"):
        check("pretrain", [*NPZ, "method=simclr,boyl"], sweep=True)


def test_an_amount_of_the_views_may_be_a_fraction():
    config, _ = check("pretrain", [*NPZ, "method=simclr", "views.gamma=0.2", "views.rotation=7.5"])
    assert (config.views.gamma, config.views.rotation) == (0.2, 7.5)


def test_an_audit_is_a_directory_or_the_list_of_the_demo():
    assert quote_paths(["audit=runs/a (1)"], sweep=False) == ["audit='runs/a (1)'"]
    assert quote_paths(['audit=["noise=none"]'], sweep=False) == ['audit=["noise=none"]']
