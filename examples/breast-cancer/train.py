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


def load(path):
    with open(path, newline="") as lines:
        rows = np.array([[float(x) for x in row] for row in csv.reader(lines)])
    return rows[:, :-1], rows[:, -1].astype(int)


class LogisticModel:
    """Logistic regression on standardised features, ridge penalty 1, fitted by Newton's method."""

    def __init__(self, features, labels):
        self.mean, self.scale = features.mean(axis=0), features.std(axis=0)
        x = self.design(features)
        penalty = np.diag([0.0] + [1.0] * features.shape[1])  # none on the intercept
        self.weights = np.zeros(x.shape[1])
        for _ in range(100):
            p = 1 / (1 + np.exp(-x @ self.weights))
            gradient = x.T @ (p - labels) + penalty @ self.weights
            step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + penalty, gradient)
            self.weights -= step
            if np.abs(step).max() < 1e-10:
                break

    def design(self, features):
        return np.hstack([np.ones((len(features), 1)), (features - self.mean) / self.scale])

    def score(self, features, labels):
        return float(((self.design(features) @ self.weights > 0) == labels).mean())


members = [load(path) for path in sys.argv[1:]]
train, test = [], []
for features, labels in members:
    order = np.random.default_rng(2026).permutation(len(labels))
    cut = len(order) * 2 // 3
    train.append((features[order[:cut]], labels[order[:cut]]))
    test.append((features[order[cut:]], labels[order[cut:]]))

test_x = np.vstack([x for x, _ in test])
test_y = np.concatenate([y for _, y in test])
pooled = LogisticModel(np.vstack([x for x, _ in train]), np.concatenate([y for _, y in train]))
result = {
    "rows": [len(y) for _, y in members],
    "held_out_rows": len(test_y),
    "accuracy_pooled": round(pooled.score(test_x, test_y), 4),
    "accuracy_alone": [round(LogisticModel(x, y).score(test_x, test_y), 4) for x, y in train],
    "model": {
        "coefficients": [round(float(c), 6) for c in pooled.weights[1:]],
        "intercept": round(float(pooled.weights[0]), 6),
    },
}
for number in range(1, len(members) + 1):
    with open(f"result-{number}", "w") as out:
        json.dump(result, out)
