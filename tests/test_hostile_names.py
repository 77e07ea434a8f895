"""Names that mean something to a terminal, a spreadsheet or a browser, from the folder to the report."""

import os
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ssl_robust.cli import run
from ssl_robust.data.columns import read_table

CLASSES = ['=cmd()|\' "x"', "<evil onmouseover=evil()>", "x\nforged: line\x1b[2J", '" evil="1" \'']
FILES = [
    "a\nforged: 1.png", "tab\tret\rurn.png", "\x1b[31mred\x07.png", "\u202egnp.exe.png", "-rf.png", "@SUM(A1).png",
    "+1+1.png", "'quoted', \"twice\".png", "&amp;<evil>.png", "n" * 251 + ".png", "{{ 7 * 7 }}.png", "$x$ %s {0}.png",
]  # fmt: skip


class Page(HTMLParser):
    """Tags, names of attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.words, self.texts = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.words |= {tag, *(name for name, _ in attrs)}
        self.texts += [value for _, value in attrs if value]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_from_the_folder_to_the_report(tmp_path, capsys):
    root, rng = tmp_path / "scans", np.random.default_rng(0)
    names = {f"{label}/{file}" for label in CLASSES for file in FILES} | {"=1+1.png", "-x.png"}
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(root / name)
    other = os.fsencode(root / CLASSES[0]) + b"/\xff\xfe.png"
    with open(other, "wb") as file:
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(file, "png")
    (root / CLASSES[2] / "broken\nforged: 2\x1b[0m.png").write_bytes(b"x")
    names.add(f"{CLASSES[0]}/\\xff\\xfe.png")
    data = ["data=folder", f"data.path={root}", "data.max_unreadable=0.2", "checkpoint=none", "encoder=resnet10t"]
    assert run(["embed", *data, f"out={tmp_path / 'emb'}"]) == 0
    assert run(["audit", *data, "n_suspects=60", f"out={tmp_path / 'audit'}"]) == 0
    said = "".join(capsys.readouterr())
    assert not [line for line in said.splitlines() if line.startswith("forged")]
    assert not {"\x1b", "\u202e", "\x07"} & set(said)
    assert r"broken\nforged: 2\x1b[0m.png (is not an image)" in said

    for file in (tmp_path / "emb" / "samples.csv", tmp_path / "audit" / "audit.csv"):
        table = read_table(file)
        assert set(table["sample_id"]) == names
        assert set(table["label"].dropna()) == set(CLASSES)
        text = file.read_text(encoding="utf-8")
        assert "\n=" not in text
        assert ",=" not in text
    page = Page((tmp_path / "audit" / "report.html").read_text(encoding="utf-8"))
    assert not {word for word in page.words if "evil" in word or word.startswith("on")}
    assert any("<evil onmouseover=evil()>" in text for text in page.texts)
    assert not any("49.png" in text for text in page.texts)
