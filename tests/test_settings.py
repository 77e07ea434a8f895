from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ssl_robust import settings
from ssl_robust.cli import STAGES
from ssl_robust.overrides import check

GROUPS = {"pretrain": ("method", "data", "views", "optim"), "finetune": ("strategy", "noise", "views", "data")}
CASES = [
    (stage, group, choice)
    for stage, groups in GROUPS.items()
    for group in groups
    for choice in settings.choices(group)
    if choice != "embeddings"
]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_root_that_composes(stage):
    config, _ = check(stage, [], fill=True)
    assert config.seed == 0
    # A campaign lies where `review` looks for one.
    assert config.out == ("runs/review" if stage == "relabel" else f"runs/{stage}")


@pytest.mark.parametrize(("stage", "group", "choice"), CASES, ids=lambda value: str(value))
def test_every_choice_composes_and_stays_in_its_group(stage, group, choice):
    before, _ = check(stage, [], fill=True)
    config, _ = check(stage, [f"{group}={choice}"], fill=True)
    assert set(config) == set(before), f"{group}={choice} adds options at the top level"
    assert OmegaConf.is_struct(config)


def test_a_method_may_choose_its_optimiser_and_the_user_has_the_last_word():
    rates = {name: settings.defaults("optim", name)["lr"] for name in ("adamw", "adamw_half", "sgd")}

    def rate(*overrides):
        return settings.compose("pretrain", ["data=phantoms", *overrides]).optim.lr

    assert rates["adamw_half"] == rates["adamw"] / 2
    assert rate("method=simclr") == rates["adamw"]
    assert rate("method=barlow_twins") == rates["adamw_half"]
    assert rate("method=barlow_twins", "optim=sgd") == rate("optim=sgd", "method=barlow_twins") == rates["sgd"]
    assert rate("method=barlow_twins", "optim.lr=0.1") == 0.1


def test_values_have_one_home():
    """No Python default repeats a YAML value: the API reads the packaged files."""
    assert settings.defaults("noise", "symmetric")["rate"] is not None


def test_the_configuration_lies_beside_the_checkout_or_in_the_package():
    assert (Path(settings.config_directory()) / "pretrain.yaml").is_file()


def test_a_node_has_the_name_of_the_file_with_its_values_else_of_its_module():
    for name in ("cross_entropy", "label_smoothing", "gce", "mae", "balanced"):
        assert settings.name_of("strategy", settings.defaults("strategy", name)) == name
    assert settings.name_of("strategy", settings.defaults("strategy", "mae") | {"q": 0.9}) == "gce"
