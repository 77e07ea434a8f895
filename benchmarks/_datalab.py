"""cleanlab's Datalab on the data of audit_scale.py, as its documentation shows: a process of its own, to be measured.

Reads vectors.npy and labels.csv in the folder that is its only argument, writes datalab.npy there.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from cleanlab import Datalab
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict


def main() -> None:
    folder = Path(sys.argv[1])
    features = np.load(folder / "vectors.npy")
    labels = pd.read_csv(folder / "labels.csv")["label"].to_numpy()
    probabilities = cross_val_predict(LogisticRegression(max_iter=300), features, labels, cv=5, method="predict_proba")
    lab = Datalab(data={"label": labels.tolist()}, label_name="label", verbosity=0)
    lab.find_issues(
        features=features,
        pred_probs=probabilities,
        issue_types={"label": {}, "outlier": {}, "near_duplicate": {}},
    )
    np.save(folder / "datalab.npy", lab.get_issues("label")["label_score"].to_numpy())


if __name__ == "__main__":
    main()
