"""The trial sheet: random, blind, and read with the statistics of Evaluate."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.jobs.trials import SHEET, plan, sheet_text
from engine.records.ledger import read_ledger
from engine.runs.run_directory import read_documents
from engine.statistics.comparison import Arm, compare
from engine.statistics.intervals import wilson_interval
from engine.statistics.report import to_markdown
from tests.engine.recordings.datasets import write_film
from tests.engine.tiny import do

POLICIES = ("base", "wmpo")


def test_every_policy_is_tried_once_on_every_start() -> None:
    codes, trials = plan(POLICIES, 30, 0)
    assert sorted(codes.values()) == sorted(POLICIES)
    assert Counter((t.start, codes[t.code]) for t in trials) == Counter(
        (start, policy) for start in range(30) for policy in POLICIES
    )


def test_the_order_is_random_and_says_nothing_of_the_policy() -> None:
    """Over many sheets either policy comes first half of the time, and either gets either code."""
    first, alphabetical, orders = [], [], set()
    for seed in range(200):
        codes, trials = plan(POLICIES, 6, seed)
        first += [codes[trial.code] == "base" for trial in trials[::2]]
        alphabetical.append(codes[min(codes)] == "base")
        orders.add(tuple(trial.start for trial in trials))
    low, high = wilson_interval(sum(first), len(first))
    assert low < 0.5 < high
    low, high = wilson_interval(sum(alphabetical), len(alphabetical))
    assert low < 0.5 < high
    assert len(orders) > 150


def test_the_sheet_names_no_policy() -> None:
    _, trials = plan(POLICIES, 5, 1)
    text = sheet_text(trials)
    assert "base" not in text and "wmpo" not in text
    assert text.splitlines()[0] == "trial,start,code,success,note,media"


def filled(run: Path, target: Path, chance: np.random.Generator) -> dict[str, np.ndarray]:
    """A sheet filled in at a robot whose second policy is better; outcomes by policy and start."""
    key = json.loads((run / "documents" / "key.json").read_text())
    rows = list(csv.DictReader((run / SHEET).read_text().splitlines()))
    found = {name: np.zeros(12, bool) for name in POLICIES}
    for row in rows:
        policy = key["codes"][row["code"]]
        success = bool(chance.random() < (0.8 if policy == "wmpo" else 0.3))
        found[policy][int(row["start"])] = success
        row["success"] = "Yes" if success else "no"
    with target.open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    return found


def test_the_numbers_are_those_of_evaluate_on_the_same_outcomes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"task": "coffee-push", "policies": list(POLICIES), "starts": 12}
    do("trials", tmp_path / "made", **options)
    table = tmp_path / "filled.csv"
    said = filled(tmp_path / "made", table, np.random.default_rng(3))
    metrics = do(
        "trials", tmp_path / "read", sheet=str(tmp_path / "made"), results=str(table), **options
    )
    assert metrics is not None
    for name, outcomes in said.items():
        low, high = wilson_interval(int(outcomes.sum()), 12)
        assert metrics[f"{name}/success_rate"] == outcomes.mean()
        assert (metrics[f"{name}/success_low"], metrics[f"{name}/success_high"]) == (low, high)
    arms = [Arm(name, name, {0: said[name]}) for name in POLICIES]
    report = (tmp_path / "read" / "report.md").read_text()
    assert report == to_markdown(compare(arms, "base", [0]))
    entries = read_ledger(tmp_path / "read")
    assert Counter((e["use"], e["policy"], e["success"]) for e in entries) == Counter(
        ("trial", name, bool(one)) for name in POLICIES for one in said[name]
    )
    assert {entry["pool"] for entry in entries} == {"upload"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("\n1,", "\n2,", 1), "row 1: .* is not the sheet's"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "has 3 rows, the sheet 4"),
        (lambda text: text, "row 1: success is '', not yes or no"),
    ],
)
def test_a_sheet_that_is_not_the_one_or_not_full_is_refused(
    tmp_path: Path, change: Any, sentence: str
) -> None:
    options: dict[str, Any] = {"task": "coffee-push", "policies": list(POLICIES), "starts": 2}
    do("trials", tmp_path / "made", **options)
    table = tmp_path / "filled.csv"
    table.write_text(change((tmp_path / "made" / SHEET).read_text()))
    with pytest.raises(ValueError, match=sentence):
        do("trials", tmp_path / "read", sheet=str(tmp_path / "made"), results=str(table))
    assert read_ledger(tmp_path / "read") == []


def test_photographs_and_videos_that_a_row_names_come_along(tmp_path: Path) -> None:
    options: dict[str, Any] = {"task": "coffee-push", "policies": list(POLICIES), "starts": 2}
    do("trials", tmp_path / "made", **options)
    table, desk = tmp_path / "desk" / "filled.csv", tmp_path / "desk"
    desk.mkdir()
    filled(tmp_path / "made", table, np.random.default_rng(3))
    shades = np.arange(0, 240, 10, dtype=np.uint8)
    frames = np.repeat(shades, 64 * 64 * 3).reshape(-1, 64, 64, 3)
    write_film(desk / "first.mp4", list(frames))
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(desk / "start.jpg")
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "elsewhere.jpg")
    text = table.read_text().splitlines()
    given = {"sheet": str(tmp_path / "made"), "results": str(table)}
    for names, refused in (
        ("missing.jpg", "no missing.jpg lies beside it"),
        ("../elsewhere.jpg", "no elsewhere.jpg lies beside it"),
        ("filled.csv", "filled.csv: is neither a photograph nor a video"),
    ):
        table.write_text("\n".join([text[0], text[1] + names, *text[2:]]) + "\n")
        with pytest.raises(ValueError, match=refused):
            do("trials", tmp_path / "refused", **given)
    assert read_ledger(tmp_path / "refused") == []
    named = [text[0], text[1] + "start.jpg; first.mp4", text[2] + "start.jpg", *text[3:]]
    table.write_text("\n".join(named) + "\n")
    do("trials", tmp_path / "read", **given)
    kept = read_documents(tmp_path / "read")["outcomes"]["media"]
    assert kept == [["001-start.jpg", "002-first.mp4"], ["001-start.jpg"], [], []]
    room = tmp_path / "read" / "media"
    assert (room / "002-first.mp4").read_bytes() == (desk / "first.mp4").read_bytes()
    assert np.asarray(Image.open(room / "001-start.jpg.png")).shape == (96, 128, 3)
    strip = np.asarray(Image.open(room / "002-first.mp4.png")).astype(int)
    seen = strip[48, 48::96, 0]  # the middle of each of eight frames, from the first to the last
    assert len(seen) == 8 and (np.diff(seen) > 15).all()
    assert seen[0] < 10 and seen[-1] > 220
