import pytest

from ssl_robust.run import UserError
from ssl_robust.settings import choices
from ssl_robust.study.choice import read_choices
from ssl_robust.study.inits import read_inits


def test_a_word_names_a_file_a_rate_and_options():
    none, some, by = read_choices("noise", ["none", "symmetric:0.2", "symmetric:0.2:by=patient"], "noises")
    assert (none.label, none.rate) == ("none", 0.0)
    assert (some.label, some.rate, some.node["by"]) == ("symmetric", 0.2, "sample")
    assert (by.label, by.rate, by.node["by"]) == ("symmetric:by=patient", 0.2, "patient")


def test_a_rate_that_is_not_said_is_the_files_own_and_a_matrix_has_none():
    symmetric, raters = read_choices("noise", ["symmetric", "raters:matrix=chaoyang_b"], "noises")
    assert symmetric.rate == 0.4
    assert raters.rate == pytest.approx(1 - (0.94 + 0.57 + 0.96 + 0.60) / 4, abs=1e-4)
    assert raters.node["matrix"] == "chaoyang_b"


def test_words_count_once():
    assert len(read_choices("strategy", ["cross_entropy", "cross_entropy"], "strategies")) == 1


@pytest.mark.parametrize("name", choices("strategy"))
def test_every_strategy_can_be_named(name):
    (choice,) = read_choices("strategy", [name], "strategies")
    assert "_target_" in choice.node
    assert choice.is_oracle == name.endswith("_oracle")


@pytest.mark.parametrize(
    ("group", "word", "message"),
    [("strategy", "cross_entrpy", "cross_entrpy does not exist, did you mean cross_entropy"),
     ("noise", "symetric:0.2", "symetric does not exist, did you mean symmetric"),
     ("noise", "symmetric:lots", "'lots' in 'symmetric:lots' is neither a rate nor option=value"),
     ("noise", "none:0.2", "none has no option rate; it has none"),
     ("noise", "symmetric:b=patient", "symmetric has no option b.*; it has rate, by"),
     ("strategy", "cross_entropy:label_smoothin=1", "no option label_smoothin, did you mean label_smoothing"),
     ("strategy", "cross_entropy:label_smoothing=much", "does not fit; expected a number such as 0")],
)  # fmt: skip
def test_mistakes_are_told(group, word, message):
    with pytest.raises(UserError, match=message):
        read_choices(group, [word], "list")


def test_a_path_may_name_the_set(tmp_path):
    (tmp_path / "lungs" / "simclr").mkdir(parents=True)
    (tmp_path / "lungs" / "simclr" / "encoder.safetensors").touch()
    (init,) = read_inits([f"{tmp_path}/{{set}}/simclr"], mode="frozen")
    assert init.name == "simclr"
    assert init.of("lungs") == str(tmp_path / "lungs" / "simclr")
    init.check(["lungs"])
    with pytest.raises(UserError, match="skin"):
        init.check(["lungs", "skin"])
    (init,) = read_inits([f"{tmp_path}/{{set}}-vae"], mode="frozen")
    assert init.name == "vae"
