import re

import pytest

from ssl_robust.overrides import check
from ssl_robust.run import UserError
from ssl_robust.unused import unread

DATA = ["data=phantoms"]
FREEZE = [*DATA, "checkpoint=none", "freeze=true"]


def said(stage, *overrides):
    return unread(stage, *check(stage, list(overrides)))


@pytest.mark.parametrize(
    ("stage", "overrides", "sentences"),
    [
        ("audit", [*DATA, "checkpoint=none", "encoder=resnet18"], []),
        ("audit", [*DATA, "checkpoint=runs/ssl", "encoder=resnet10t", "data.split=train"], []),
        ("pretrain", [*DATA, "method=simclr", "data.split=all", "encoder=resnet18", "views=xray"], []),
        ("audit", [*DATA, "checkpoint=none", "data.split=test"], ["data.split=test .*audit takes every scan"]),
        ("audit", [*DATA, "checkpoint=none", "neighbors=exact", "neighbors.recall=0.5", "neighbors.ivf.iterations=3"],
         ["neighbors.recall= changes nothing", "neighbors.ivf= changes nothing"]),
        ("audit", [*DATA, "checkpoint=none", "neighbors.recall=0.5"], []),
        ("embed", [*DATA, "checkpoint=none", "data.split=all"], ["embed takes every scan"]),
        ("finetune", [*DATA, "checkpoint=none", "data.split=all"], ["finetune trains on train"]),
        ("probe", [*DATA, "checkpoint=none", "data.split=all"], ["probe fits on train"]),
        ("finetune", [*FREEZE], []),
        ("finetune", [*FREEZE, "views=xray"], ["views= changes nothing"]),
        ("finetune", [*FREEZE, "views.rotation=3", "crop.size=0.5", "encoder_lr_scale=0.1"],
         ["views= changes", "crop= changes", "encoder_lr_scale= changes"]),
        ("demo", [], []),
    ],
)  # fmt: skip
def test_what_nothing_reads_is_said(stage, overrides, sentences):
    notes = said(stage, *overrides)
    assert len(notes) == len(sentences)
    assert all(re.search(*pair) for pair in zip(sentences, notes, strict=True))


@pytest.mark.parametrize("option", ["encoder=resnet18", "+encoder_args.drop_path_rate=0.1"])
@pytest.mark.parametrize("stage", ["embed", "finetune", "audit"])
def test_an_encoder_beside_a_checkpoint_is_refused(stage, option):
    with pytest.raises(UserError, match=r"encoder(_args)?= is read with checkpoint=none .* take encoder(_args)?= away"):
        said(stage, *DATA, "checkpoint=runs/ssl", option)


def test_an_encoder_beside_the_one_that_ships_is_refused():
    with pytest.raises(UserError, match="the card of checkpoint=default says what its encoder is"):
        said("audit", *DATA, "encoder=resnet18")
    with pytest.raises(UserError, match="the card of checkpoint=default"):
        said("pretrain", *DATA, "method=simclr", "checkpoint=default", "encoder=resnet18")
    assert said("pretrain", *DATA, "method=simclr", "checkpoint=imagenet", "encoder=resnet18") == []
    assert said("audit", "data=embeddings", "data.path=E.npy", "encoder=resnet18") == []
