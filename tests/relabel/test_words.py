import shlex

import pytest
from omegaconf import OmegaConf

from ssl_robust.data.manifest import data_settings
from ssl_robust.files import UserError
from ssl_robust.overrides import check
from ssl_robust.quoting import quote_paths
from ssl_robust.relabel.words import Option, data_words, read_words
from ssl_robust.settings import defaults


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("folder", {"path": "Müller's (2024)/a,b=c $HOME", "classes": ["null", "it's", "2"], "max_unreadable": 0.5,
                    "windows": {**defaults("data", "_files")["windows"], "mine": [0, 80]}}),
        ("csv", {"path": "12", "columns": {"label": ["reader 1", "reader_2"]}, "consensus": "dawid_skene"}),
        ("npz", {"path": "nan", "index": "true", "fractions": {"val": 0.2, "test": 0.1}, "task": 0}),
    ],
)  # fmt: skip
def test_the_words_compose_the_same_data(name, values):
    data = data_settings(name, **values)
    words = shlex.split(data_words(data, labels="new labels.csv"))
    assert words[0] == f"data={name}"
    config, _ = check("audit", quote_paths(words, sweep=False))
    assert OmegaConf.to_container(config.data, resolve=True) == {**data, "labels": "new labels.csv"}


def test_only_what_is_not_usual_is_written():
    assert data_words(data_settings("phantoms", n_patients=7, color=False)) == (
        "data=phantoms data.n_patients=7 data.color=false"
    )
    assert data_words(data_settings("folder", path="scans/a.b"), labels="c.csv") == (
        "data=folder data.labels=c.csv data.path=scans/a.b"
    )
    vectors = {**defaults("data", "embeddings"), "path": "runs/emb"}
    assert data_words(vectors, labels="c.csv") == "data=embeddings data.path=runs/emb data.labels=c.csv"


KNOWN = {"run": Option(), "unsure": Option(("keep", "drop"), "keep"), "who": Option(default="")}


def test_words_become_options():
    usage = {"what": "relabel apply", "usage": "relabel apply run=runs/review"}
    assert read_words(["run=a=b"], KNOWN, **usage) == {"run": "a=b", "unsure": "keep", "who": ""}
    for words, said in (
        (["rum=a"], "no option rum, did you mean run; it takes run, unsure, who, e.g. relabel apply"),
        (["run"], "no option run"),
        (["run=a", "unsure=dorp"], "unsure=dorp does not exist, did you mean drop; choose one of keep, drop"),
        ([], "relabel apply needs run=, e.g. relabel apply run=runs/review"),
        (["run="], "needs run="),
    ):
        with pytest.raises(UserError, match=said):
            read_words(words, KNOWN, **usage)
