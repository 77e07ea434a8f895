import importlib
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def drawn():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        return importlib.import_module("suspects_sheet").sheet


@pytest.mark.parametrize("channels", [1, 3])
def test_each_suspect_has_its_own_picture(drawn, channels):
    images = np.stack([np.full((4, 4, channels), value, np.uint8) for value in (10, 20, 30)])
    suspects = [
        {"rank": rank, "label": "a class", "p_mislabeled": p, "thumbnail": thumbnail}
        for rank, p, thumbnail in [(1, 0.9, 2), (2, None, 0), (3, 0.1, 1)]
    ]
    picture = np.asarray(drawn(suspects, images, columns=2, zoom=10).convert("L"))
    below = (len(picture) - 8) // 2  # a row of two, then the third
    assert [picture[10, 10], picture[10, 58], picture[10 + below, 10]] == [30, 10, 20]
