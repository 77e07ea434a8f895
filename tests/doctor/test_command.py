import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["pretain"],
            "doctor pretain does not exist, did you mean pretrain; expected pretrain, finetune",
        ),
        (["clear"], "did you mean clear-cache"),
        (["json=yes"], "json=yes does not fit; expected true or false"),
        (["clear-cache", "oldr=3d"], "doctor clear-cache has no option oldr, did you mean older; it takes older, yes"),
        (["clear-cache", "older=soon"], "older=soon does not fit; give a number of days, e.g. older=30d"),
        (["clear-cache", "yes=y"], "yes=y does not fit; expected true or false"),
        (["clear-cache", "--json"], "says what it deletes in words alone; take json= away"),
        (["clear-cache", "yes"], "doctor clear-cache takes key=value, got yes; e.g. yes=true"),
        (["pretrain", "data=phantoms", "method=simclr", "trainer.epochs=3"], "did you mean trainer.max_epochs"),
        (["pretrain", "data=phantoms"], "method= is missing"),
        (["audit", "data=embeddings", "data.path=x.npy"], "data=embeddings holds vectors"),
    ],
)
def test_mistakes_are_one_sentence(said, words, sentence):
    code, _, err = said(*words)
    assert code == 2
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_help_teaches_without_asking_the_machine(said):
    assert said("--help") == said("pretrain", "--help")
    out = said("--help")[1]
    assert "doctor clear-cache [older=30d]" in out
    assert "estimate" in out


def test_clearing_needs_no_torch():
    code = "import sys; from ssl_robust.cli import run; run(['doctor', 'clear-cache']); print(sorted(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'torch'" not in shown.splitlines()[-1]


def test_the_machine_in_words_and_as_json(said):
    import json
    import os
    from pathlib import Path

    code, out, _ = said()
    assert code == 0
    for word in ("torch", "cores", "GPUs", "DICOM", "decoded", "$SSL_ROBUST_CACHE"):
        assert word in out
    assert out.startswith(("Problems:", "No problems."))
    found = json.loads(said("--json")[1])
    assert found["cores"]["usable"] >= 1
    assert found["devices"]["precision"] in ("bf16", "fp32")
    assert json.loads(said("json=true")[1]).keys() == found.keys()
    assert str(Path.home()) not in out + json.dumps(found)
    assert os.uname().nodename not in out if hasattr(os, "uname") else True
