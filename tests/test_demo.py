"""The demo's own part: which stages it starts, with what, and where. The stages themselves are tested elsewhere."""

import pytest

from ssl_robust.demo import demo
from ssl_robust.run import UserError, read_json
from ssl_robust.settings import compose


@pytest.mark.parametrize("name", ["plain", "it's a demo, (2024)"])
def test_every_stage_gets_its_place_whatever_the_folder_is_called(tmp_path, monkeypatch, name):
    started = {}
    for stage in ("pretrain", "finetune", "audit"):
        monkeypatch.setattr(
            f"ssl_robust.{stage}.stage.{stage}", lambda config, s=stage: started.update({config.out: s})
        )
    config = compose("demo", ["rates=[0.0,0.4]"])
    config.out = str(tmp_path / name)
    out = demo(config)
    assert {place.removeprefix(f"{out}/"): stage for place, stage in started.items()} == {
        "ssl": "pretrain", "audit": "audit", "ft-scratch-00": "finetune", "ft-pretrained-00": "finetune",
        "ft-scratch-40": "finetune", "ft-pretrained-40": "finetune",
    }  # fmt: skip
    assert len(read_json(out / "demo.json")["finetune"]) == 4


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "audit"])
def test_a_typo_for_any_stage_is_told_before_the_first_starts(tmp_path, monkeypatch, stage):
    monkeypatch.setattr("ssl_robust.pretrain.stage.pretrain", lambda config: pytest.fail("must not start"))
    config = compose("demo", [f'{stage}=["data.siz=1"]', f"out='{tmp_path}/o'"])
    with pytest.raises(UserError, match=f"{stage} has no option data.siz, did you mean data.size"):
        demo(config)
    assert not (tmp_path / "o").exists()
