"""The help explains every option from the comments of the YAML files."""

import re

import pytest

from ssl_robust import explain
from ssl_robust.cli import STAGES, run
from ssl_robust.overrides import check
from ssl_robust.settings import chosen_groups, config_directory


def help_of(stage, *overrides, columns=120, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    config, filled = check(stage, list(overrides), fill=True)
    return explain.help_text(stage, config, chosen_groups(stage, filled))


def option_line(text, option):
    return next(line for line in text.splitlines() if line.strip().startswith(option))


def test_a_comment_belongs_to_the_option_on_its_line(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "# what the file is\nlr: 0.1   # the rate\njitter:  # colours\n  p: 0.8\n  hue: 0.1  # turns\n"
        "crops:\n  - {n: 2}  # two\nurl: a#b\n",
        encoding="utf-8",
    )
    expected = {"lr": "the rate", "jitter": "colours", "jitter.hue": "turns", "crops": "two"}
    assert explain.option_comments(file) == expected


def test_options_stand_with_default_and_meaning(monkeypatch):
    text = help_of("pretrain", monkeypatch=monkeypatch)
    assert option_line(text, "seed=0").endswith("of everything random in the run")
    assert "scans that pass through the encoder at once" in option_line(text, "trainer.batch_size=128")
    assert option_line(text, "views.noise.sigma=[0.0,0.02]")
    assert option_line(text, "trainer.progress=true")
    assert option_line(text, "data_licence=''")
    assert "_target_" not in text
    assert "method= (must be given)" in text


def test_comments_of_files_that_a_choice_takes_in(monkeypatch):
    text = help_of("pretrain", "method=byol", monkeypatch=monkeypatch)  # it chooses an optimiser that extends adamw
    assert "* adamw_quarter" in text
    assert "* byol" in text
    assert "share of the steps" in option_line(text, "optim.warmup")
    assert "what pretraining learns from" in option_line(text, "data.split")  # from data/_common.yaml


@pytest.mark.parametrize("columns", [60, 100, 300])
def test_lines_fit_the_terminal(monkeypatch, columns):
    lines = help_of("finetune", columns=columns, monkeypatch=monkeypatch).splitlines()
    alone = [line for line in lines if not re.match(r"  [\w.]+=", line)]  # a long option keeps its line to itself
    assert max(map(len, alone)) <= min(columns, 120)


@pytest.mark.parametrize("stage", STAGES)
def test_every_option_or_its_node_is_explained(stage):
    config, filled = check(stage, [], fill=True)
    comments = explain._comments(stage, chosen_groups(stage, filled))
    silent = [name for name, _ in explain._leaves(config) if not any(node in comments for node in explain._nodes(name))]
    assert not silent


def test_a_list_of_overrides_is_shown_as_one_writes_it(monkeypatch):
    line = option_line(help_of("demo", monkeypatch=monkeypatch), "audit=").strip()
    assert line == 'audit=["noise=symmetric","noise.rate=0.1"]'
    config, _ = check("demo", [line])
    assert list(config.audit) == ["noise=symmetric", "noise.rate=0.1"]


def test_a_dollar_in_a_comment_reaches_the_user(capsys):
    assert "$SSL_ROBUST_CACHE" in (config_directory() / "data" / "_common.yaml").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):  # Hydra's, after --help
        run(["embed", "--help"])
    assert "$SSL_ROBUST_CACHE" in capsys.readouterr().out


def test_help_answers_a_sweep_too(capsys):
    with pytest.raises(SystemExit):
        run(["pretrain", "--help", "-m", "method=simclr,byol", "seed=0"])
    assert "trainer.max_epochs=100" in capsys.readouterr().out
