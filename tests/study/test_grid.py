import pytest
import yaml

from ssl_robust.run import UserError
from ssl_robust.settings import config_directory
from ssl_robust.study.grid import read_grid, read_seeds


def settings(**values):
    packaged = yaml.safe_load((config_directory() / "study.yaml").read_text(encoding="utf-8"))
    return {**packaged, "seed": 0, "sets": {"a": ["data=phantoms"], "b": ["data=phantoms"]}, **values}


def test_the_grid_is_the_product_of_its_lists_seed_by_seed():
    grid = read_grid(settings(inits=["random", "simclr"], noises=["none", "symmetric:0.2", "symmetric:0.4"], seeds="2"))
    cells = grid.cells()
    assert len(cells) == 2 * 2 * 1 * 3 * 2 == len({cell.name for cell in cells})
    assert [cell.seed for cell in cells] == [0] * 12 + [1] * 12


def test_labels_depend_on_neither_strategy_nor_beginning():
    grid = read_grid(
        settings(inits=["random", "default"], strategies=["cross_entropy", "cross_entropy:label_smoothing=0.1"])
    )
    by_labels = {}
    for cell in grid.cells():
        by_labels.setdefault(cell.labels, set()).add((cell.set, cell.noise, cell.rate, cell.seed))
    assert all(len(each) == 1 for each in by_labels.values())
    assert len(by_labels) == 2 * 3 * 3


def test_drawn_encoders_are_taken_in_turn_and_given_ones_are_not():
    grid = read_grid(settings(inits=["simclr", "default"], seeds="3", encoder_seeds=2))
    names = {(cell.init, cell.seed): grid.encoder_name(cell) for cell in grid.cells() if cell.set == "a"}
    assert [names["simclr", seed] for seed in range(3)] == ["a-simclr", "a-simclr-1", "a-simclr"]
    assert {names["default", seed] for seed in range(3)} == {"a-default"}


@pytest.mark.parametrize(
    ("path", "name"), [("lungs.npz", "lungs"), ("skin/labels.csv", "skin"), ("skin", "skin"), (None, "phantoms")]
)
def test_a_set_is_named_after_what_says_something(path, name, tmp_path):
    data = {
        "_target_": "ssl_robust.data.phantoms.read_phantoms",
        "path": None if path is None else str(tmp_path / path),
    }
    grid = read_grid(settings(sets=None, data=data))
    assert list(grid.sources) == [name]


def test_seeds():
    assert read_seeds(3, 10) == read_seeds("3", 10) == (10, 11, 12)
    assert read_seeds([4, 1, 4], 0) == (4, 1)
    for wrong in (0, "x", [], ["a"], -1, 2.5):
        with pytest.raises(UserError, match="expected how many"):
            read_seeds(wrong, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"inits": ["randm"]}, "inits: randm does not exist, did you mean random"),
     ({"inits": ["simclrr"]}, "did you mean simclr"),
     ({"inits": ["histogram"], "mode": "finetune"}, "histogram has no encoder that could learn; add mode=frozen"),
     ({"mode": "thawed"}, "mode=thawed does not exist; choose one of frozen, finetune"),
     ({"strategies": []}, "leaves nothing to study"),
     ({"sets": None}, "the study has no data"),
     ({"sets": ["data=phantoms"]}, "is no mapping"),
     ({"sets": {"a": "data=phantoms"}}, "a is not a list of texts"),
     ({"sets": {"a/b": ["data=phantoms"]}}, "is used for folders"),
     ({"encoder_seeds": 0}, "at least 1")],
)  # fmt: skip
def test_mistakes_are_told(values, message):
    with pytest.raises(UserError, match=message):
        read_grid(settings(**values))


def test_a_file_of_sets_that_is_no_mapping_is_told(tmp_path):
    for text in ("- a\n- b\n", "a: [", "just words", ""):
        (tmp_path / "sets.yaml").write_text(text)
        with pytest.raises(UserError, match=r"sets=.*sets.yaml is no (mapping|YAML)"):
            read_grid(settings(sets=str(tmp_path / "sets.yaml")))
