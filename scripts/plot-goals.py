#!/usr/bin/env python3
"""Draws what `cargo bench --bench goals` printed: a bar a case, the ratio to the best peer, and the goal.

    .tools/peers/python/bin/python scripts/plot-goals.py benches/results/goals.csv docs/plots
"""

import csv
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "kernelsmith"  # the same file for the same figures
import matplotlib.pyplot as plt

REACHED, MISSED = "#2a7f62", "#c8553d"


def draw(suite, rows, path):
    names = [f"{r['case']}, {r['type']}, {r['threads']}T" for r in rows]
    ratios = [float(r["ratio"]) for r in rows]
    goals = [float(r["goal"]) for r in rows]
    figure, axes = plt.subplots(figsize=(9, 0.24 * len(rows) + 1.2))
    colors = [REACHED if ratio >= goal else MISSED for ratio, goal in zip(ratios, goals)]
    axes.barh(names, ratios, color=colors)
    for row, (ratio, goal) in enumerate(zip(ratios, goals)):
        axes.plot([goal, goal], [row - 0.4, row + 0.4], color="black", linewidth=1.2)
        r = rows[row]
        label = f" {float(r['ours']):.0f} / {float(r['its rate']):.0f} {r['unit']} ({r['best peer']})"
        axes.text(ratio, row, label, va="center", fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35 * max(ratios + goals))
    axes.set_xlabel("ours / best peer; the line is the goal")
    axes.set_title(suite)
    axes.tick_params(axis="y", labelsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    source, folder = sys.argv[1:]
    with open(source, newline="") as file:
        rows = [r for r in csv.DictReader(file) if r.get("goal") and r["case"] != "geometric mean"]
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for suite in dict.fromkeys(r["suite"] for r in rows):
        mine = [r for r in rows if r["suite"] == suite]
        draw(suite, mine, pathlib.Path(folder) / f"{suite}.svg")


main()
