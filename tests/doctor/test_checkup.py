import copy

import pytest

from ssl_robust.doctor.checkup import in_words, problems

HEALTHY = {
    "versions": {"python": "3.12", "torch": "2.9"},
    "cores": {"machine": 16, "affinity": 16, "quota": None, "usable": 16},
    "memory": {"machine": 64 * 10**9, "limit": None, "available": 50 * 10**9},
    "devices": {"device": "cuda", "precision": "bf16", "threads": 16, "why_no_gpu": None,
                "gpus": [{"name": "A GPU", "memory": 80 * 10**9, "free": 79 * 10**9}]},
    "cache": {"place": "~/.cache/ssl_robust", "sets": 2, "bytes": 10**9, "free": 10**12, "writable": True},
    "runs": {"place": ".", "free": 10**12},
    "readers": {"pictures": {"PNG": True}, "dicom": {"RLE Lossless": True}, "tables": {"Excel": False}},
    "extras": {"dicom": [], "wandb": ["wandb"]},
}  # fmt: skip


@pytest.fixture
def machine():
    """Changes, `{"cache.free": 1}` -> the facts of a healthy machine with them."""

    def build(changes=()):
        found = copy.deepcopy(HEALTHY)
        for name, value in dict(changes).items():
            group, _, key = name.partition(".")
            found[group][key] = value
        return found

    return build


def test_a_healthy_machine_has_no_problems(machine):
    found = machine()
    assert problems(found) == []
    text = in_words({"problems": [], **found})
    assert text.startswith("No problems.")
    assert "A GPU, 80.0 GB, 79.0 GB free" in text
    assert "16 may be used" in text
    assert 'pip install "ssl-robust[wandb]"' in text
    assert "2 sets, 1.0 GB in ~/.cache/ssl_robust" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cache.writable": False}, "decoded scans cannot be written to ~/.cache/ssl_robust; choose"),
        ({"cache.free": 10**8}, "the disk for decoded scans is nearly full: 100 MB left"),
        ({"runs.free": 10**8}, "the disk for runs started here is nearly full"),
        ({"memory.limit": 10**9}, "1.0 GB of memory are little"),
        ({"devices.gpus": [], "devices.why_no_gpu": "no driver"}, "no GPU is used: no driver"),
        ({"devices.precision": "fp32"}, "no bf16"),
        ({"devices.gpus": [], "devices.threads": 4}, "torch computes with 4 of 16 cores"),
        ({"readers.pictures": {"PNG": True, "WebP": False}}, "cannot read WebP"),
    ],
)
def test_each_problem_is_named(machine, changes, sentence):
    assert any(sentence in each for each in problems(machine(changes)))


def test_an_unreadable_compression_names_the_remedy(machine):
    text = in_words({"problems": [], **machine({"readers.dicom": {"RLE Lossless": True, "JPEG 2000": False}})})
    assert 'RLE Lossless; not JPEG 2000 (pip install "ssl-robust[dicom]")' in text
