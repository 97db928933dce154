"""The report of a comparison: what it shows, what it leaves out, and what it may print bold."""

import re

import numpy as np
import pytest

from engine.statistics.comparison import Arm, compare, mean_rates
from engine.statistics.report import (
    Bar,
    Block,
    Cell,
    Chart,
    Code,
    Heading,
    Paragraph,
    Table,
    to_html,
    to_markdown,
)

STARTS = np.arange(200)


def _arms() -> list[Arm]:
    """Base 40 %, a clearly better arm, one like the base, one with a seed missing."""
    base = STARTS % 5 < 2
    better = STARTS % 5 < 4
    alike = np.roll(base, 1)
    return [
        Arm("base", "base", {0: base, 1: base}),
        Arm("better", "better arm", {0: better, 1: better}),
        Arm("alike", "like the base", {0: alike, 1: alike}),
        Arm("absent", "half run", {0: better}),
        Arm("never", "never run", {}),
    ]


def _tables(blocks: list[Block]) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table)]


def test_every_seed_stands_with_its_wilson_interval_and_what_was_not_run_is_said() -> None:
    by_seed = _tables(compare(_arms(), "base", [0, 1]))[0]
    assert [cell.text for cell in by_seed.rows[0][:2]] == ["base", "40.0 [33.5, 46.9]"]
    assert [cell.text for cell in by_seed.rows[3][2:3]] == ["not run"]
    assert {cell.text for cell in by_seed.rows[4][1:]} == {"not run"}


def test_only_significant_differences_are_bold() -> None:
    _, pooled, within = _tables(compare(_arms(), "base", [0, 1]))
    bold = {row[0].text: any(cell.strong for cell in row) for row in pooled.rows}
    assert bold == {
        "better arm": True,
        "like the base": False,
        "half run": False,  # one seed
        "never run": False,
    }
    assert pooled.rows[0][2].text.startswith("+40.0 [+")
    assert [row[0].text for row in within.rows if row[-1].strong] == [
        "better arm",
        "better arm",
        "half run",
    ]
    assert [cell.text for cell in within.rows[2][2:4]] == ["40", "40"]


def test_a_report_says_what_its_starts_can_show() -> None:
    blocks = compare(_arms(), "base", [0, 1])
    [text] = [b.text for b in blocks if isinstance(b, Paragraph) and "80 % power" in b.text]
    assert "With 200 common starts one seed then shows" in text
    assert "To see 10 points you need" in text


def test_the_same_outcomes_give_the_same_report() -> None:
    assert to_markdown(compare(_arms(), "base", [0, 1])) == to_markdown(
        compare(_arms(), "base", [0, 1])
    )


def test_arms_tested_on_other_starts_are_refused() -> None:
    arms = [Arm("base", "base", {0: STARTS > 3}), Arm("b", "b", {0: STARTS[:5] > 3})]
    with pytest.raises(ValueError, match="not tested on the same starts"):
        compare(arms, "base", [0])
    with pytest.raises(ValueError, match="no arm is the reference nobody"):
        compare(arms, "nobody", [0])


def _blocks() -> list[Block]:
    return [
        Heading("A <title>", 1),
        Paragraph("1 < 2"),
        Code("make"),
        Table(["arm", "p"], [[Cell("a"), Cell("0.01", strong=True)], [Cell("b"), Cell("0.2")]]),
        Chart("chart", [Bar("a", 0.5, 0.4, 0.6, [0.45, 0.55]), Bar("b", None)]),
    ]


def test_markdown_has_tables_and_bold_only_where_asked() -> None:
    text = to_markdown(_blocks())
    assert "| a | **0.01** |\n| b | 0.2 |" in text
    assert text.count("**") == 2
    assert text.startswith("# A <title>\n")


def test_the_page_is_escaped_and_needs_nothing_beside_itself() -> None:
    page = to_html("A <title>", _blocks())
    assert "<h1>A &lt;title&gt;</h1>" in page
    assert re.findall(r"<strong>(.*?)</strong>", page) == ["0.01"]
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert "not run" in page


def test_an_interval_is_drawn_once_however_often_a_page_asks() -> None:
    assert mean_rates(_arms())["base"] is mean_rates(_arms())["base"]
    assert mean_rates(_arms())["base"] != mean_rates(_arms())["better"]
