import base64
import hashlib
import json
import re

import numpy as np
import pytest
from audit_runs import EVIL, make_run

from ssl_robust.report import render
from ssl_robust.report.audit_copies import read_copies
from ssl_robust.report.audit_figures import effort_curve, expected_finds, heat_map
from ssl_robust.report.audit_material import read_labels
from ssl_robust.report.audit_points import read_points
from ssl_robust.run import read_json, write_json


def rendered(path):
    return re.sub(r"\s+", " ", render(path).read_text(encoding="utf-8"))


def block(text, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S).group(1))


def change(path, **values):
    write_json(path / "audit.json", {**read_json(path / "audit.json"), **values})


def test_the_headline_is_the_estimate_with_its_interval(tmp_path):
    run = make_run(tmp_path / "a")
    n_wrong = {"estimate": 412.4, "low": 350.2, "high": 480.9}
    estimate = {**read_json(run / "audit.json")["estimate"], "n_wrong": n_wrong}
    effort = [{"n": 0, "found": 0}, {"n": 400, "found": 290}, {"n": 424, "found": 302}, {"n": 8000, "found": 412.4}]
    change(run, estimate=estimate, effort=effort, n_labelled=8000)
    text = rendered(run)
    assert "<title>Label audit: About 412 of 8,000 labels are wrong</title>" in text
    assert "About 412 of 8,000 labels are wrong <small>90 % interval 350 – 481</small>" in text
    assert "Reading the first 412 finds about 296 of them." in text


def test_no_number_is_claimed_without_an_estimate(tmp_path):
    run = make_run(tmp_path / "a")
    change(run, estimate=None, estimate_why="there are two patients only.", effort=[], transition=None)
    text = rendered(run)
    assert "<h1>80 labels looked at, 16 of them suspect</h1>" in text
    assert "How many are wrong is not claimed: there are two patients only." in text
    for part in ('id="curve"', 'id="heat"', "finds about"):
        assert part not in text


def test_a_class_that_cannot_be_judged_says_why_and_claims_nothing(tmp_path):
    row = rendered(make_run(tmp_path / "a")).split("<td><bdi>normal</bdi></td>")[1].split("</tr>")[0]
    assert "cannot be judged: 3 patients: too few to judge" in row
    assert "60 %" not in row
    assert "5 (2" not in row.replace('<span class="soft range">', "")


def test_a_run_of_before_shows_what_it_has(tmp_path):
    run = make_run(tmp_path / "a")
    for name in ("audit.csv", "duplicates.csv", "outliers.csv", "map.npz"):
        (run / name).unlink()
    old = {"n", "n_labelled", "n_flagged", "k", "center", "temperature", "groups_used", "n_groups", "checkpoint",
           "noise", "seconds", "truth"}  # fmt: skip
    summary = read_json(run / "audit.json")
    classes = [{key: each[key] for key in ("name", "n", "n_flagged", "flag_rate")} for each in summary["classes"]]
    write_json(run / "audit.json", {**{key: summary[key] for key in old}, "classes": classes})
    found = read_json(run / "suspects.json")
    new = {"p_mislabeled", "evidence", "patient_verdict"}
    suspects = [{key: value for key, value in each.items() if key not in new} for each in found["suspects"]]
    write_json(run / "suspects.json", {"has_thumbnails": True, "suspects": suspects})
    data = block(render(run).read_text(encoding="utf-8"), "data")
    assert [each["p_mislabeled"] for each in data["suspects"]] == [None] * 12
    assert data["others"] == []


@pytest.mark.parametrize("name", EVIL)
def test_no_name_leaves_its_place(name, tmp_path):
    run = make_run(tmp_path / "a", n=12, n_suspects=12, ids=[f"{name}{i}" for i in range(12)], classes=[name, "b"])
    text = render(run).read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 3
    assert text.count("<noscript") == text.count("</noscript>") == 3
    assert "\u2028" not in re.search('id="data">(.*)', text).group(1)
    assert "onerror=alert(1)>" not in text
    data = block(text, "data")
    assert data["classes"][0] == name
    assert {each["id"] for each in data["suspects"]} == {f"{name}{i}" for i in range(12)}


def test_the_policy_lets_this_script_run_and_nothing_else(tmp_path):
    text = render(make_run(tmp_path / "a")).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    script = re.search(r"<script>(.*?)</script>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_each_picture_is_stored_once_and_only_if_it_is_shown(tmp_path):
    run = make_run(tmp_path / "a", n=40, n_suspects=5, side=100)
    text = render(run).read_text(encoding="utf-8")
    pictures = block(text, "pictures")
    # The suspects, their five neighbours each, and eight copies (which are among them).
    assert [i for i, each in enumerate(pictures) if each] == list(range(10))
    assert len(set(pictures[:10])) == 10
    without_script = re.search(r"<noscript>\s*<p class=.note.*?</noscript>", text, re.S).group(0)
    assert text.replace(without_script, "").count("base64,") == 10
    assert len(pictures[9]) < 0.6 * len(pictures[0])  # a mere neighbour is smaller


def test_pictures_can_be_left_out(tmp_path):
    run = make_run(tmp_path / "a")
    write_json(run / "suspects.json", {**read_json(run / "suspects.json"), "has_thumbnails": False})
    (run / "thumbnails.npz").unlink()
    text = render(run).read_text(encoding="utf-8")
    assert "base64" not in text
    assert "<img" not in text


def test_no_path_reaches_the_page(tmp_path):
    run = make_run(tmp_path / "a")
    found = read_json(run / "suspects.json")
    suspects = [{**each, "path": "/home/Mrs Smith.png"} for each in found["suspects"]]
    write_json(run / "suspects.json", {**found, "suspects": suspects})
    assert "Smith" not in render(run).read_text(encoding="utf-8")


def test_the_curve_ends_where_nine_of_ten_are_found():
    effort = [{"n": 0, "found": 0.0}, {"n": 100, "found": 60.0}, {"n": 200, "found": 90.0}, {"n": 1000, "found": 100.0}]
    curve = effort_curve(effort)
    assert [point[:2] for point in curve["points"]] == [[0, 0.0], [100, 60.0], [200, 90.0]]
    (_, _, left, floor), (_, _, middle, at_60), (_, _, right, top) = curve["points"]
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert (floor - at_60) / (floor - top) == pytest.approx(60 / 90, abs=0.01)
    # In any order 200 of 1,000 labels hold a fifth of the 100 finds.
    assert (floor - curve["chance"][1]) / (floor - top) == pytest.approx(20 / 90, abs=0.01)
    assert expected_finds(effort, 150) == 75
    assert [value for _, value in curve["x_ticks"]] == [0, 50, 100, 150, 200]


@pytest.mark.parametrize("effort", [[], [{"n": 0, "found": 0.0}], [{"n": 0, "found": 0.0}, {"n": 9, "found": 0.0}]])
def test_no_curve_where_nothing_is_expected(effort):
    assert effort_curve(effort) is None


def test_ticks_are_few_and_round():
    for most in (1, 3, 7, 12, 99, 250, 1_000_000):
        curve = effort_curve([{"n": 0, "found": 0.0}, {"n": most, "found": 0.5}])
        ticks = [value for _, value in curve["x_ticks"]]
        assert 2 <= len(ticks) <= 7
        assert ticks[-1] <= most


def test_the_confusions_have_their_intervals():
    matrix = {"classes": ["a", "b"], "matrix": [[0.9, 0.1], [0.25, 0.75]], "low": [[0.8, 0.0], [0.1, 0.6]],
              "high": [[1, 0.2], [0.4, 0.9]], "prior": [0.5, 0.5]}  # fmt: skip
    cell = heat_map(matrix)["rows"][1]["cells"][0]
    assert cell == {"given": "a", "value": 0.25, "low": 0.1, "high": 0.4, "right": False, "color": 0.3}
    assert heat_map(None) is None


def test_the_map_has_every_suspect_and_a_fixed_choice_of_the_others(tmp_path):
    run = make_run(tmp_path / "a", n=5_300, n_suspects=200, side=1)
    labels = read_labels(run)
    suspects = [f"scans/{i:05d}.png" for i in range(200)]
    places, others = read_points(run / "map.npz", labels, suspects, {}, seed=3)
    assert set(places) == set(suspects)
    assert len({each["id"] for each in others} - set(suspects)) == 5_000
    assert read_points(run / "map.npz", labels, suspects, {}, seed=3)[1] == others
    assert read_points(run / "map.npz", labels, suspects, {}, seed=4)[1] != others
    assert "among 5,000 of the other labelled scans, drawn at random" in rendered(run)


def test_places_keep_their_distances(tmp_path):
    run = make_run(tmp_path / "a", n=4, n_suspects=2, n_clusters=1)
    np.savez(run / "map.npz", xy=np.array([[0, 0], [4, 1], [2, 1]], np.float32), row=np.array([1, 2, 3]))
    places, others = read_points(run / "map.npz", read_labels(run), ["scans/00001.png"], {}, seed=0)
    assert places == {"scans/00001.png": [0, 0]}
    assert [each["place"] for each in others] == [[9999, 2500], [5000, 2500]]


def test_conflicts_stand_first_wherever_they_are_in_the_file(tmp_path):
    path = tmp_path / "duplicates.csv"
    lines = [f"{c},scan {c}{x},{'ab'[c > 70 and x]},train,0.99,near,{str(c > 70).lower()},false,false"
             for c in range(1, 73) for x in range(2)]  # fmt: skip
    path.write_text("cluster,sample_id,label,split,similarity,kind,conflict,across_splits,across_patients\n"
                    + "\n".join(lines))  # fmt: skip
    found = read_copies(path, {"scan 710": 4})
    assert (found["n"], found["n_conflicts"], len(found["groups"])) == (72, 2, 60)
    assert [group["conflict"] for group in found["groups"]] == [True] * 2 + [False] * 58
    first = found["groups"][0]["scans"]
    assert [(scan["sample_id"], scan["label"], scan["thumbnail"]) for scan in first] == [
        ("scan 710", "a", 4), ("scan 711", "b", None),
    ]  # fmt: skip


def test_tables_without_a_row_are_nothing_to_show(tmp_path):
    run = make_run(tmp_path / "a")
    for name in ("duplicates.csv", "outliers.csv"):
        (run / name).write_text((run / name).read_text().splitlines()[0] + "\n")
    text = rendered(run)
    assert 'id="copies"' not in text
    assert 'id="outliers"' not in text
