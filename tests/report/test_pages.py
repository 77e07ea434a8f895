import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from ssl_robust.report import render
from ssl_robust.run import Run, UserError, write_json
from ssl_robust.settings import defaults

EVIL = '"><script>alert(1)</script>'


def finished(path, stage):
    with Run(path, stage=stage, config={"seed": 0}, overwrite=path.exists()):
        pass
    return path


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def make_audit(path, *, pictures=True, wrong=True):
    finished(path, "audit")
    one = {"sample_id": EVIL, "label": EVIL, "thumbnail": 0}
    suspect = {**one, "path": EVIL, "suggested_label": "$b$", "score": 0.9, "rank": 1, "is_wrong": wrong}
    interval = {"estimate": 0.9, "low": 0.8, "high": 1.0}
    truth = {"n_known": 9, "n_wrong": 1, "auroc": interval, "average_precision": interval,
             "precision_at": {"n_wrong": interval}, "interval": {"level": 0.95, "n_resamples": 9}}  # fmt: skip
    write_json(
        path / "audit.json",
        {
            "n": 10, "n_labelled": 9, "n_flagged": 1, "k": 5, "center": True, "temperature": 0.1, "groups_used": False,
            "n_groups": None, "checkpoint": EVIL, "noise": None, "seconds": 1.5,
            "truth": None if wrong is None else truth,
            "classes": [{"name": EVIL, "n": 9, "n_flagged": 1, "flag_rate": 1 / 9, "n_wrong": 1}],
        },
    )  # fmt: skip
    write_json(path / "suspects.json", {"has_thumbnails": pictures, "suspects": [{**suspect, "neighbors": [one] * 5}]})
    if pictures:
        np.savez(path / "thumbnails.npz", images=np.zeros((1, 32, 32, 3), np.uint8))
    return path


def make_pretrain(path, *, knn=True):
    finished(path, "pretrain")
    rows = [{"epoch": e, "loss": "" if e == 0 else 5 - e, "effective_rank": 10 + e, "collapsed": 0} for e in range(4)]
    if knn:
        rows = [{**row, "knn_balanced_accuracy": 0.3 + 0.1 * row["epoch"]} for row in rows]
    write_csv(path / "metrics.csv", rows)
    write_json(path / "encoder.json", {"architecture": "resnet18", "method": EVIL, "n_scans": 1234, "epochs": 3})
    return path


def make_finetune(path, *, noise=0.2, accuracy=0.7):
    finished(path, "finetune")
    memorised = 0.4 if noise else None
    row = {"loss": 1, "val_balanced_accuracy": 0.5, "test_balanced_accuracy": accuracy}
    row |= {"memorised": memorised or "nan", "recovered": 0.5}
    write_csv(path / "metrics.csv", [{"epoch": e, **row} for e in (1, 2)])
    values = {"balanced_accuracy": accuracy, "accuracy": 0.8, "memorised": memorised, "recovered": memorised}
    write_json(
        path / "metrics.json",
        {
            "best": {"epoch": 2, **values, "balanced_accuracy_interval": [0.6, 0.8]},
            "last": {"n_epochs": 2, **values},
            "noise": {"kind": "symmetric", "rate": noise, "realised_rate": noise},
            "n_train": 70, "n_val": 10, "n_test": 20, "classes": ["a", "b"],
        },
    )  # fmt: skip
    return path


def make_demo(path):
    finished(path, "demo")
    make_pretrain(path / "ssl")
    make_audit(path / "audit")
    runs = []
    for init, gain in (("scratch", 0), ("pretrained", 0.15)):
        for rate in (0.0, 0.4):
            name = f"ft-{init}-{rate:g}"
            make_finetune(path / name, noise=rate, accuracy=0.6 + gain - rate / 2)
            runs.append({"init": init, "rate": rate, "run": name})
    write_json(path / "demo.json", {"pretrain": "ssl", "audit": "audit", "finetune": runs, "minutes": 3.2})
    return path


def make_probe(path, *, baselines=True, low=0.01):
    with Run(path, stage="probe", config={"seed": 0, "knn": {"k": 20, "temperature": 0.07}}, overwrite=path.exists()):
        pass
    names = ["encoder", "random", "histogram"] if baselines else ["encoder"]
    pairs = [(name, None) for name in names] + [("encoder", name) for name in names[1:]]
    measures = ["balanced_accuracy", "auroc", "macro_f1", "worst_class_recall"]
    rows = [{"features": name, "minus": minus, "protocol": protocol, "measure": measure,
             "value": 0.1 if minus else 0.7, "low": low, "high": None if low is None else 0.8}
            for name, minus in pairs for protocol in ("knn", "logistic", "few 1%") for measure in measures]  # fmt: skip
    facts = {"n_patients": [9], "scarce": []}
    write_json(
        path / "probe.json",
        {
            "checkpoint": EVIL, "architecture": EVIL if baselines else None, "cautions": ["few"], "noise": None,
            "conclusions": ["The encoder is better than a random encoder by 0.1: x."] * baselines,
            "scarcities": [EVIL], "n_test_pretrained_on": 3, "n_train": 1234, "n_test": 20, "n_train_patients": 50,
            "n_test_patients": 10, "unit": "patients", "classes": [{"name": EVIL, "n_train": 5, "n_test": 6}] * 2,
            "effective_rank": dict.fromkeys(names, 5.5), "dimensions": dict.fromkeys(names, 512), "seconds": 1.5,
            "interval": {"n_resamples": 1000, "level": 0.95, "of": "the patients in test"},
            "protocols": [{"name": "knn", "share": 1.0, "n_scans": [9], **facts},
                          {"name": "logistic", "share": 1.0, "n_scans": [9], **facts},
                          {"name": "few 1%", "share": 0.01, "n_scans": [5, 6], **facts}],
            "draws": [{"features": name, "protocol": "few 1%", "balanced_accuracy": [0.4, 0.5]} for name in names],
            "rows": rows,
        },
    )  # fmt: skip
    return path


def make_check(path, *, pictures=True, shortcuts=True):
    config = {"seed": 0, **defaults("", "check")}
    with Run(path, stage="check", config=config, overwrite=path.exists()):
        pass
    scan = {"sample_id": EVIL, "label": EVIL, "split": "train", "thumbnail": 0}
    group = {
        "similarity": 0.97,
        "identical": False,
        "differ": ["labels"],
        "n": 2,
        "scans": [scan, {**scan, "label": None}],
    }
    shortcut = {"name": "margins", "estimate": 0.7, "low": 0.6, "high": 0.8, "chance": 0.5}
    splits = {"train": 7, "val": 1, "test": 2}
    write_json(
        path / "check.json",
        {
            "n": 10, "n_findings": {"problem": 1, "look": 0, "fine": 1}, "image_size": 64, "seconds": 1.5,
            "findings": [{"severity": "problem", "about": "duplicates", "text": EVIL, "scans": [EVIL] * 20},
                         {"severity": "fine", "about": "values", "text": EVIL, "scans": []}],
            "counts": {"classes": [{"name": EVIL, "n": 9, "n_patients": 3, "splits": splits}], "n_unlabelled": 1,
                       "splits": splits, "patients": {"n": 3, "n_unknown": 0, "n_in_several": 0,
                                                      "scans_each": {"median": 3.0, "maximum": 4}}},
            "files": {"sizes": [{"height": 64, "width": 48, "n": 10}], "n_sizes": 3, "bytes": None,
                      "texts": {"format": [{"value": EVIL, "n": 10}]}},
            "values": {"type": "uint8", "largest": 255, "used_bits": 8, "blank": 1, "saturated": 0, "framed": 0,
                       "black": 0.1, "white": 0.0},
            "duplicates": {"n": 3, "n_scans": 7, "n_copies": 1, "labels": 1, "splits": 0, "patients": 0},
            "shortcuts": [shortcut] if shortcuts else [],
            "unreadable": [{"sample_id": EVIL, "reason": EVIL}],
            "shown": {"has_thumbnails": pictures, "blank": [scan] if pictures else [],
                      "duplicates": [group] if pictures else []},
        },
    )  # fmt: skip
    if pictures:
        np.savez(path / "thumbnails.npz", images=np.zeros((1, 32, 32, 3), np.uint8))
    return path


MAKERS = {
    "check": make_check,
    "probe": make_probe,
    "audit": make_audit,
    "pretrain": make_pretrain,
    "finetune": make_finetune,
    "demo": make_demo,
}


class Checker(HTMLParser):
    """Collects tags that are not closed in order, addresses, and scripts."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.addresses, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "img", "br", "hr", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.parametrize("stage", sorted(MAKERS))
def test_each_page_is_whole_self_contained_and_escaped(stage, tmp_path):
    page = render(MAKERS[stage](tmp_path / stage))
    assert page == tmp_path / stage / "report.html"
    text = page.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert checker.wrong == []
    assert checker.open == []
    assert checker.tags.count("script") == (3 if stage == "audit" else 0)  # data, the page's own script, pictures
    assert EVIL not in text
    assert all(
        address.startswith(("data:image/", "#")) or re.fullmatch(r"[a-z]+/report\.html", address)
        for address in checker.addresses
    )
    assert not re.search(r"url\((?!#)|@import", text)
    assert "not a medical device" in text
    assert "{{" not in text
    assert "None" not in text
    assert "nan" not in text
    assert str(tmp_path) not in text


def test_the_same_run_gives_the_same_page(tmp_path):
    run = make_pretrain(tmp_path / "ssl")
    first = render(run).read_bytes()
    assert render(run).read_bytes() == first


def test_plots_take_their_colors_from_the_page(tmp_path):
    text = render(make_pretrain(tmp_path / "ssl")).read_text(encoding="utf-8")
    assert "var(--curve1)" in text
    assert not re.search(r"#0[1-9]0[1-9]0[1-9]", text)


def test_the_audit_page_without_pictures_and_without_truth(tmp_path):
    text = render(make_audit(tmp_path / "a", pictures=False, wrong=None)).read_text(encoding="utf-8")
    assert "<img" not in text
    assert "truly wrong" not in text.split("<script")[0]
    assert "$b$" in text


def test_the_audit_page_says_when_the_features_are_to_blame(tmp_path):
    run = make_audit(tmp_path / "a")
    assert "More than a third" not in render(run).read_text(encoding="utf-8")
    summary = json.loads((run / "audit.json").read_text())
    write_json(run / "audit.json", {**summary, "n_flagged": 5})
    assert "More than a third" in render(run).read_text(encoding="utf-8")


def test_the_demo_page_tells_what_was_measured(tmp_path):
    demo = make_demo(tmp_path / "demo")
    text = re.sub(r"\s+", " ", render(demo).read_text(encoding="utf-8"))
    assert "With 40 % wrong labels the balanced accuracy is <b>0.40</b> from scratch and <b>0.55</b>" in text
    assert "1 of 1 are truly wrong" in text
    assert "from <b>0.30</b> with random weights to <b>0.60</b>" in text
    assert (demo / "audit" / "report.html").exists()
    assert (demo / "ssl" / "report.html").exists()


def test_pretraining_without_labels_has_no_knn(tmp_path):
    text = render(make_pretrain(tmp_path / "ssl", knn=False)).read_text(encoding="utf-8")
    assert "kNN" not in text
    assert "1,234 scans, no labels" in text


def test_a_collapsed_encoder_is_called_that(tmp_path):
    run = make_pretrain(tmp_path / "ssl")
    text = (run / "metrics.csv").read_text().replace(",0,", ",1,")
    (run / "metrics.csv").write_text(text)
    assert "features have collapsed" in render(run).read_text(encoding="utf-8")


def test_the_probe_page_says_what_was_found_and_how_far_to_trust_it(tmp_path):
    text = re.sub(r"\s+", " ", render(make_probe(tmp_path / "p")).read_text(encoding="utf-8"))
    assert "<h1>The encoder is better than a random encoder by 0.1</h1>" in text
    assert "1,234 training scans and measured on 20 test scans of 10 patients" in text
    assert "pretrained (without labels) on 3 of the 20 test scans" in text
    assert text.count('class="plot"') == 1
    assert "5 – 6" in text
    assert "0.400 – 0.500" in text


def test_the_probe_page_of_ready_vectors_and_of_one_patient(tmp_path):
    text = render(make_probe(tmp_path / "p", baselines=False)).read_text(encoding="utf-8")
    assert "Balanced accuracy 0.700 with a logistic probe" in text
    assert "How much better" not in text
    assert "histogram" not in text
    text = render(make_probe(tmp_path / "p", low=None)).read_text(encoding="utf-8")
    assert "no interval" in text
    assert "nan" not in text


def test_the_check_page_tells_the_worst_first_and_shows_it(tmp_path):
    text = re.sub(r"\s+", " ", render(make_check(tmp_path / "c")).read_text(encoding="utf-8"))
    assert "<h1>10 scans: 1 problem, 0 things to look at</h1>" in text
    assert text.index('class="problem"') < text.index('class="fine"')
    assert "The first 1 of 3" in text
    assert "different labels" in text
    assert "no label" in text
    assert "and 2 other sizes" in text
    assert text.count('class="plot"') == 1
    text = render(make_check(tmp_path / "c", pictures=False, shortcuts=False)).read_text(encoding="utf-8")
    assert "<img" not in text
    assert "<svg" not in text


def test_clean_labels_show_nothing_of_noise(tmp_path):
    text = render(make_finetune(tmp_path / "ft", noise=0.0)).read_text(encoding="utf-8")
    assert "learned by heart" not in text
    assert "wrong labels" not in text


def test_the_finetune_page_says_who_chose_the_epoch(tmp_path):
    run = make_finetune(tmp_path / "ft")
    assert "validation split chose" in render(run).read_text(encoding="utf-8")
    write_json(run / "metrics.json", {**json.loads((run / "metrics.json").read_text()), "n_val": 0})
    text = render(run).read_text(encoding="utf-8")
    assert "validation split chose" not in text
    assert "BEST is the last epoch" in text


def test_stages_without_a_page_and_directories_without_a_run(tmp_path):
    assert render(finished(tmp_path / "emb", "embed")) is None
    with pytest.raises(UserError, match="holds no run"):
        render(tmp_path)


def test_a_missing_artefact_is_named(tmp_path):
    run = make_pretrain(tmp_path / "ssl")
    (run / "metrics.csv").unlink()
    with pytest.raises(UserError, match=r"metrics\.csv"):
        render(run)
    shutil.rmtree(run)


def test_an_unfinished_pretraining_has_no_page(tmp_path):
    run = make_pretrain(tmp_path / "ssl")
    (run / "encoder.json").unlink()
    with pytest.raises(UserError, match=r"encoder\.json"):
        render(run)


def test_an_audit_without_patients_says_how_these_data_would_name_them(tmp_path):
    out = make_audit(tmp_path / "a")
    assert "data.columns.patient_id=" in render(out).read_text(encoding="utf-8")
    run = json.loads((out / "run.json").read_text())
    write_json(out / "run.json", {**run, "config": {"data": {"patient_pattern": None}}})
    page = render(out).read_text(encoding="utf-8")
    assert "data.patient_pattern=" in page
    assert "data.columns" not in page


def test_class_names_break_between_words_only(tmp_path):
    page = render(make_audit(tmp_path / "a")).read_text(encoding="utf-8")
    for rule in (".chip {", ".label b {", ".wall p {"):
        assert "overflow-wrap" not in page.split(rule, 1)[1].split("}", 1)[0]


def test_a_pretraining_that_went_on_from_an_encoder_does_not_call_that_one_random(tmp_path):
    run = make_pretrain(tmp_path / "run")
    card = {"architecture": "resnet18", "method": "simclr", "n_scans": 9, "epochs": 3, "starts_from": "what SHIPS"}
    write_json(run / "encoder.json", card)
    page = render(run).read_text(encoding="utf-8")
    assert "what SHIPS" in page
    assert "encoder at the start" in page
    assert "random encoder" not in page
    assert "random encoder" in render(make_pretrain(tmp_path / "new")).read_text(encoding="utf-8")
