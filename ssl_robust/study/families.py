"""Which kind of pretraining an init of a study is."""

from __future__ import annotations

from ssl_robust.settings import config_directory, defaults

BASELINES = ("random", "histogram")  # nothing was learned


def family(init: str) -> str:
    """An init's name -> the `family` of the method's YAML, or the name itself where it is not a method's.

    The families are those of Khanal et al. 2024 (arXiv 2401.07990): contrastive (views of a scan attract, with
    negatives or without, as the paper counts Barlow Twins), pretext (a puzzle whose answer is known), generative
    (draw the scan again).
    """
    # Compared with the names that are there: a name from a table must not become a path.
    if init not in {path.stem for path in (config_directory() / "method").glob("*.yaml")}:
        return init
    return defaults("method", init).get("family", init)
