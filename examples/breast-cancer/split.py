#!/usr/bin/env python3
"""Splits the UCI breast-cancer data (wdbc.csv beside this file) by rows into halves.

usage: split.py DIR   writes DIR/half-1.csv and DIR/half-2.csv
The halves differ on purpose, as two hospitals' patients do: the first sees mostly small tumours.
"""
import csv
import pathlib
import sys

import numpy as np

with open(pathlib.Path(__file__).parent / "wdbc.csv", newline="") as lines:
    data = list(csv.reader(lines))
radius = np.array([float(row[0]) for row in data])
order = np.argsort(radius + np.random.default_rng(7).normal(0, 0.5, len(radius)))
out = pathlib.Path(sys.argv[1])
for number, rows in enumerate(np.array_split(order, 2), 1):
    with open(out / f"half-{number}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        for row in rows:
            writer.writerow(data[row])
