"""Wrong words on a command line: each ends in one sentence before torch is imported, at whatever stage."""

import re
import subprocess
import sys

import pytest

from ssl_robust.cli import run
from ssl_robust.run import UserError
from ssl_robust.syntax import parse, values_of

PRETRAIN = "pretrain data=phantoms method=simclr"
WRONG = [
    # what Hydra's grammar does not take
    (PRETRAIN, "method.crops=[1,", "opens [ and does not close it"),
    ("finetune checkpoint=none", "data={", "opens { and does not close it"),
    (PRETRAIN, "data.classes=" + "[" * 3000, "opens [ and does not close it"),
    (PRETRAIN, "data.classes=" + "[" * 600 + "]" * 600, "too long or too deeply nested"),
    (PRETRAIN, "seed=" + "9" * 6000, "too long or too deeply nested"),
    (PRETRAIN, "method.temperature=${nope", "put it in quotes"),
    # names that no option has
    (PRETRAIN, "=3", "'' in '=3' names no option"),
    (PRETRAIN, "+=3", "names no option"),
    (PRETRAIN, ".seed=1", "names no option"),
    (PRETRAIN, "method..temperature=1", "names no option"),
    (PRETRAIN, "method.crops[0].size=1", "names no option"),
    (PRETRAIN, "method@foo=simclr", "would put a group elsewhere; write method=simclr"),
    # Hydra's own
    (PRETRAIN, "hydra.run.dir=elsewhere", "about Hydra itself"),
    ("audit data=phantoms", "+hydra.foo=1", "about Hydra itself"),
    ("check data=phantoms", "hydra=nope", "about Hydra itself"),
    # taken away, or put where nothing reads it
    (PRETRAIN, "~method", "~method would take an option away"),
    (PRETRAIN, "~out", "would take an option away"),
    ("views data=phantoms", "~", "would take an option away"),
    (PRETRAIN, "+x.y.z=1", "has no option +x.y.z=1"),
    ("check data=phantoms", "+seed.x=1", "did you mean seed"),
    ("audit data=phantoms", "+neighbors.kk=1", "has no option +neighbors.kk=1"),
    ("embed data=phantoms checkpoint=none", "+batch_size=3", "is there already; write it without +"),
    (PRETRAIN, "++optim=sgd", "is there already; write it without +"),
    (PRETRAIN, "++optim.lr=foo", "optim.lr=foo does not fit"),
    # values of another kind
    (PRETRAIN, "+method.crops={a: 1}", "is there already; write it without +"),
    (PRETRAIN, "method.crops={a: 1}", "expected a list of views"),
    (PRETRAIN, "method.crops=[]", "expected a list of views"),
    (PRETRAIN, "method.crops=[1]", "views such as {n: 2, size: 1.0}"),
    (PRETRAIN, "method.crops=[{n: 0, size: 1.0}]", "views such as {n: 2, size: 1.0}"),
    (PRETRAIN, "method.crops=[{n: 2, size: 1.0, scale: 3}]", "views such as {n: 2, size: 1.0}"),
    (PRETRAIN, "data=", "data= does not exist; choose one of"),
    (PRETRAIN, "optim=", "optim= does not exist; choose one of"),
    (PRETRAIN, "optim.lr=", "optim.lr= does not fit"),
    (PRETRAIN, "seed=1e999", "seed=inf does not fit"),
    (PRETRAIN, "encoder={a: 1}", "expected a text such as resnet10t"),
    (PRETRAIN, "encoder=5", "expected a text such as resnet10t"),
    (PRETRAIN, "encoder_args=5", "encoder_args=5 does not fit"),
    (PRETRAIN, "encoder_args={1: 2}", "encoder_args={1: 2} does not fit"),
    (PRETRAIN, "out=null", "out=null does not fit"),
    (PRETRAIN, "out=", "out= does not fit"),
    ("embed data=phantoms", "checkpoint=", "expected the directory of a pretrain run"),
    ("probe data=phantoms checkpoint=none", "image_size={a: 1}", "has no option image_size"),
    ("check data=csv", "data.columns.label=(A,Dr B)", "in square brackets: 'data.columns.label=[A,Dr B]'"),
    ("check data=folder", "data.window={-1350,150}", "in square brackets: 'data.window=[-1350,150]'"),
    # decimals and several values
    (PRETRAIN, "optim.lr=0,004", "write a decimal with a point (0.004) and a list in brackets"),
    ("finetune data=phantoms checkpoint=none noise=symmetric", "noise.rate=0,4", "a decimal with a point (0.4)"),
    (f"{PRETRAIN} -m", "seed=range(1,1)", "names no value"),
    (f"{PRETRAIN} -m", "seed=range(1,100000000)", "names more than 10,000 values"),
    (f"{PRETRAIN} -m", "optim.lr=interval(0,1)", "names no values to run"),
    (f"{PRETRAIN} -m", "method=glob(*)", "names no values to run"),
    # references that lead nowhere
    (PRETRAIN, "method.temperature=${nope}", "expected a number such as 0.2"),
    ("finetune data=phantoms checkpoint=none", "data.classes=${data.nope}", "data.classes refers by ${…} to what"),
    ("pretrain data=folder method=simclr", "data.path=${oc.env:NO_SUCH_VARIABLE}", "data.path refers by ${…} to what"),
    ("check data=folder", "data.path=${", "cannot be put together"),
    ("demo", "pretrain=5", "pretrain=5 does not fit, expected a list"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "wrong", "sentence"), WRONG, ids=[f"{a[:8]} {b[:40]}" for a, b, _ in WRONG])
def test_a_wrong_word_ends_in_one_sentence(words, wrong, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    assert run([*words.split(), wrong]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("ssl-robust: ")
    assert sentence in said
    assert "\n" not in said
    assert len(said) < 400
    assert not list(tmp_path.iterdir())


def test_they_are_told_without_torch():
    words = [*PRETRAIN.split(), "method.crops=[1]"]
    code = "import sys; from ssl_robust.cli import run; "
    code += f"code = run({words}); sys.exit(9 if 'torch' in sys.modules else code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "views such as" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "argument", ["seed=1", "+data.windows.pelvis=[-100,300]", "++seed=1", "to.prefix='a=b'", "launcher.n_jobs=2"]
)
def test_what_means_something_is_taken(argument):
    assert parse(argument, sweep=False).get_key_element() == argument.partition("=")[0]


def test_the_values_of_an_override():
    assert values_of("method=simclr,byol") == ("method", [("simclr", "simclr"), ("byol", "byol")])
    assert values_of("+seed=range(0,2)") == ("+seed", [(0, "0"), (1, "1")])
    assert values_of("out='a,b'") == ("out", [("a,b", "'a,b'")])
    assert values_of("seed='a','b'") == ("seed", [("a", "'a'"), ("b", "'b'")])


def test_several_values_are_those_of_a_sweep():
    with pytest.raises(UserError, match=re.escape("add -m to run them all")):
        parse("method=simclr,byol", sweep=False)
    assert parse("method=simclr,byol", sweep=True).is_sweep_override()
