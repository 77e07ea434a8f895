import numpy as np
import pytest
from PIL import Image
from planted import opened, textures

from ssl_robust.check.appearance import appearance
from ssl_robust.check.files import file_facts
from ssl_robust.check.values import describe_values, judge_values
from ssl_robust.data.manifest import data_settings
from ssl_robust.data.scanset import open_scans
from ssl_robust.settings import defaults

SETTINGS = defaults("", "check")


def described(scans):
    facts = file_facts(scans.manifest)
    look = appearance(scans, facts[["height", "width"]].to_numpy())
    values = describe_values(look, scans, facts, SETTINGS)
    ids = scans.manifest.table["sample_id"].to_numpy()
    return values, judge_values(values, ids, SETTINGS, has_window=scans.manifest.source.files is not None)


def test_blank_burnt_out_and_framed_scans(tmp_path):
    images = textures(8)
    images[1] = 99
    images[2, :20] = 255
    images[3, :, :6] = 0
    images[4, 0] = 0  # thinner than what counts
    values, findings = described(opened(tmp_path, images))
    assert values["blank"].tolist() == [1]
    assert values["saturated"].tolist() == [2]
    assert values["framed"].tolist() == [2, 3]
    assert [(each.severity, each.scans) for each in findings] == [
        ("look", ["train/1"]), ("look", ["train/2"]), ("look", ["train/2", "train/3"]),
    ]  # fmt: skip


def test_the_margins_of_a_scan_that_was_made_square_are_not_its_own(tmp_path):
    Image.fromarray(textures(1)[0][:32]).save(tmp_path / "wide.png")
    framed = textures(1)[0].copy()
    framed[:, :16] = 0
    Image.fromarray(framed[:32]).save(tmp_path / "framed.png")
    scans = open_scans(data_settings("folder", path=str(tmp_path)))
    assert not scans.pixels[:, 0].any()  # padded
    sizes = np.full((2, 2), [32.0, 64.0])
    framed, wide = appearance(scans, sizes).margins
    assert wide.tolist() == [0, 0, 0, 0]
    assert framed.tolist() == [0, 0, 0.25, 0]
    assert appearance(scans, sizes).black.max() == pytest.approx(0.25)
    assert described(scans)[0]["framed"].tolist() == [0]


def test_twelve_bits_in_sixteen_and_the_option_that_mends_it(tmp_path):
    for row, image in enumerate(textures(4).astype(np.uint16) * 16 + 15):
        Image.fromarray(image).save(tmp_path / f"{row}.png")
    values, (finding,) = described(open_scans(data_settings("folder", path=str(tmp_path))))
    assert (values["used_bits"], len(values["blank"])) == (12, 0)
    assert finding.severity == "problem"
    assert "data.window='[0,4095]'" in finding.text
    assert f"{values['largest']:,} of 65,535 (12 bits stored in 16)" in finding.text
    values, (finding,) = described(open_scans(data_settings("folder", path=str(tmp_path), window=[0, 4095])))
    assert finding.severity == "fine"
    assert values["used_bits"] == 16


def test_twelve_bits_beside_eight(tmp_path):
    Image.fromarray(textures(1)[0]).save(tmp_path / "eight.png")
    Image.fromarray(textures(1)[0].astype(np.uint16) * 16).save(tmp_path / "twelve.png")
    values, _ = described(open_scans(data_settings("folder", path=str(tmp_path))))
    assert values["used_bits"] == 12


def test_arrays_of_twelve_bits_have_no_window(tmp_path):
    _, (finding,) = described(opened(tmp_path, textures(4).astype(np.uint16) * 16))
    assert "multiply the arrays by 16" in finding.text
