"""Run directories of an audit with everything that its page can show, made of random vectors and drawn pictures."""

import numpy as np
import pandas as pd

from ssl_robust.data.written import write_table
from ssl_robust.run import Run, write_json

EVIL = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</script><b>x", "a\u2028b</noscript>", "{{ 7*7 }}",
]  # fmt: skip


def make_run(path, *, n=80, n_suspects=12, classes=("benign", "malignant", "normal"), ids=None, n_clusters=4, side=24):
    """Audit run directory; sample i is wrong with a probability that falls with its rank, which is i + 1."""
    rng = np.random.default_rng(0)
    ids = list(ids or [f"scans/{i:05d}.png" for i in range(n)])
    k = len(classes)
    codes = rng.integers(0, k, n)
    labels, suggested = (np.array(classes, dtype=object)[c] for c in (codes, (codes + rng.integers(1, k, n)) % k))
    p = np.sort(rng.beta(0.5, 2, n))[::-1].round(4)
    p[0] = 0.98
    suspects = [
        {
            "sample_id": ids[i], "label": labels[i], "thumbnail": i, "path": ids[i], "suggested_label": suggested[i],
            "score": p[i], "rank": i + 1, "is_wrong": None, "votes": None, "p_mislabeled": p[i],
            "evidence": 12.5 if i % 4 else 1.5, "patient_verdict": "all scans look mislabelled" if i == 1 else None,
            "neighbors": [
                {"sample_id": ids[j], "label": labels[j], "thumbnail": int(j)} for j in (i + np.arange(1, 6)) % n
            ],
        }
        for i in range(n_suspects)
    ]  # fmt: skip
    with Run(path, stage="audit", config={"seed": 0, "data": {}}, overwrite=path.exists()):
        pass
    write_json(path / "audit.json", summary(labels, codes, classes, p))
    write_json(path / "suspects.json", {"has_thumbnails": True, "suspects": suspects, "pictured": ids})
    table = {"sample_id": ids, "label": labels, "suggested_label": suggested, "p_mislabeled": p,
             "patient_verdict": [each["patient_verdict"] for each in suspects] + [None] * (n - n_suspects)}  # fmt: skip
    write_table(path / "audit.csv", pd.DataFrame(table))
    np.savez(path / "thumbnails.npz", images=drawings(n, codes, side, rng))
    np.savez(path / "map.npz", xy=(rng.normal(size=(n, 2)) + codes[:, None] * 2).astype(np.float32), row=np.arange(n))
    write_copies(path, ids, labels, n_clusters)
    outliers = {"sample_id": ids[:3], "label": labels[:3], "score": [3, 2, 1], "rank": [1, 2, 3]}
    write_table(path / "outliers.csv", pd.DataFrame(outliers))
    return path


def summary(labels, codes, classes, p):
    n, k = len(labels), len(classes)
    read = np.unique(np.linspace(0, n, min(200, n + 1)).astype(int))
    found = np.concatenate([[0], np.cumsum(p)])
    total = found[-1]
    about = {"estimate": total, "low": 0.8 * total, "high": 1.2 * total}
    matrix = np.full((k, k), 0.12 / max(1, k - 1)) + np.eye(k) * (0.88 - 0.12 / max(1, k - 1))
    return {
        "n": n, "n_labelled": n, "n_flagged": n // 5, "k": 50, "center": True, "temperature": 0.1, "groups_used": True,
        "n_groups": 9, "checkpoint": "default", "noise": None, "seconds": 1.5, "truth": None, "readers": None,
        "estimate": {"n_wrong": about, "rate": {m: v / n for m, v in about.items()}, "level": 0.9, "n_resamples": 100},
        "effort": [{"n": int(each), "found": float(found[each])} for each in read],
        "classes": [
            {"name": name, "n": int((codes == i).sum()), "n_flagged": 3, "flag_rate": 0.1 * (i % 5), "precision": 0.6,
             "n_wrong_estimate": {"estimate": 5.4, "low": 2.2, "high": 9.9}, "judged": i != k - 1,
             "why": None if i != k - 1 else "3 patients: too few to judge"}
            for i, name in enumerate(classes)
        ],
        "transition": {"classes": list(classes), "matrix": matrix, "low": matrix * 0.7,
                       "high": np.minimum(1, matrix * 1.2), "prior": np.full(k, 1 / k)},
        "outliers": {"n": 3},
        "duplicates": {"n_clusters": 4, "n_scans": 8, "n_conflicts": 2, "n_across_splits": 1, "n_across_patients": 0},
    }  # fmt: skip


def write_copies(path, ids, labels, n_clusters):
    rows = [
        {"cluster": c + 1, "sample_id": ids[2 * c + i], "label": labels[2 * c + i], "split": "train",
         "similarity": 0.99, "kind": ("exact", "near")[c % 2], "conflict": str(c < 2).lower(),
         "across_splits": str(c == 1).lower(), "across_patients": "false"}
        for c in range(n_clusters) for i in range(2)
    ]  # fmt: skip
    write_table(path / "duplicates.csv", pd.DataFrame(rows))


def drawings(n, codes, side, rng):
    """(n, side, side, 1) uint8: a blob whose size tells the class."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    blob = np.hypot(x, y) < (0.12 + 0.08 * (codes % 4))[:, None, None]
    return (90 + 90 * blob + rng.normal(0, 14, (n, side, side))).clip(0, 255).astype(np.uint8)[..., None]
