"""The help explains every option from the comments of the YAML files."""

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


def test_comments_of_files_that_a_choice_takes_in(monkeypatch):
    text = help_of("pretrain", "method=byol", monkeypatch=monkeypatch)  # it chooses an optimiser that extends adamw
    assert "* adamw_quarter" in text
    assert "* byol" in text
    assert "share of the steps" in option_line(text, "optim.warmup")
    assert "what pretraining learns from" in option_line(text, "data.split")  # from data/_common.yaml


@pytest.mark.parametrize("columns", [60, 100, 300])
def test_lines_fit_the_terminal(monkeypatch, columns):
    text = help_of("finetune", columns=columns, monkeypatch=monkeypatch)
    explanations = [line for line in text.splitlines() if line.startswith("      ")]
    assert explanations
    assert max(map(len, explanations)) <= min(columns, 120)


@pytest.mark.parametrize("stage", STAGES)
def test_nearly_every_option_is_explained(stage, monkeypatch):
    config, filled = check(stage, [], fill=True)
    explained = dict(explain._explained(stage, config, chosen_groups(stage, filled)))
    first_words = {name for name, text in explained.items() if text}
    nodes = {name.rpartition(".")[0] for name in first_words}
    silent = [name for name in explained if name not in first_words and name.rpartition(".")[0] not in nodes]
    assert not silent


def test_a_dollar_in_a_comment_reaches_the_user(capsys):
    assert "$SSL_ROBUST_CACHE" in (config_directory() / "data" / "_common.yaml").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):  # Hydra's, after --help
        run(["embed", "--help"])
    assert "$SSL_ROBUST_CACHE" in capsys.readouterr().out
