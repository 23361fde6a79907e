#!/usr/bin/env python3
"""The script both hospitals agreed to run: one model on the pooled data.

usage: train.py DATA_1 DATA_2 ...   (CSV: 30 features, then the label; one file a member)
Writes result-1, result-2, ...: what each member gets back.

A third of every member's rows is held out; all models are judged on the same held-out rows.
"""
import csv
import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def load(path):
    with open(path, newline="") as lines:
        rows = np.array([[float(x) for x in row] for row in csv.reader(lines)])
    return rows[:, :-1], rows[:, -1].astype(int)


def fit(features, labels):
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, labels)


members = [load(path) for path in sys.argv[1:]]
train, test = [], []
for features, labels in members:
    order = np.random.default_rng(2026).permutation(len(labels))
    cut = len(order) * 2 // 3
    train.append((features[order[:cut]], labels[order[:cut]]))
    test.append((features[order[cut:]], labels[order[cut:]]))

test_x = np.vstack([x for x, _ in test])
test_y = np.concatenate([y for _, y in test])
pooled = fit(np.vstack([x for x, _ in train]), np.concatenate([y for _, y in train]))
result = {
    "rows": [len(y) for _, y in members],
    "held_out_rows": len(test_y),
    "accuracy_pooled": round(float(pooled.score(test_x, test_y)), 4),
    "accuracy_alone": [round(float(fit(x, y).score(test_x, test_y)), 4) for x, y in train],
    "model": {
        "coefficients": [round(float(c), 6) for c in pooled[-1].coef_[0]],
        "intercept": round(float(pooled[-1].intercept_[0]), 6),
    },
}
for number in range(1, len(members) + 1):
    with open(f"result-{number}", "w") as out:
        json.dump(result, out)
