"""Learning curves as a table and as a picture that needs nothing beside itself."""

import math
from collections.abc import Mapping, Sequence

from engine.statistics.report import Cell, Table, to_markdown

Point = Mapping[str, float]  # what `learning_curve_report.summary` gives for one size

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 20, 48
COLOURS = {"random": "#ea580c", "uncertainty": "#4f46e5"}
INK, LINE = "#475467", "#e4e7ec"


def to_table(sizes: Sequence[int], found: Sequence[Point]) -> str:
    """Markdown: F1 and balanced accuracy of both orders, and the gain, with intervals.

    A gain whose interval leaves 0 out is bold.
    """
    header = ["labels"]
    rows = [[Cell(str(size))] for size in sizes]
    for name, words in (("f1", "F1"), ("balanced_accuracy", "balanced accuracy")):
        header += [f"{words}, random", f"{words}, uncertainty", "gain"]
        for row, point in zip(rows, found, strict=True):
            row += [Cell(_interval(point, f"{order}_{name}")) for order in COLOURS]
            gain = f"gain_{name}"
            strong = point[f"{gain}_low"] > 0 or point[f"{gain}_high"] < 0
            row.append(Cell(_interval(point, gain, sign="+"), strong))
    return to_markdown([Table(header, rows)])


def to_svg(sizes: Sequence[int], found: Sequence[Point]) -> str:
    """F1 over the number of labels (doubling from tick to tick), with 95 % intervals."""
    edges = [p[f"{order}_f1_{end}"] for p in found for order in COLOURS for end in ("low", "high")]
    top = math.ceil(max(edges) * 10) / 10
    bottom = min(math.floor(min(edges) * 10) / 10, top - 0.1)
    span = math.log2(sizes[-1] / sizes[0])

    def x(size: int) -> float:
        return LEFT + 12 + (WIDTH - LEFT - RIGHT - 24) * math.log2(size / sizes[0]) / span

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (top - value) / (top - bottom)

    marks = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for tick in range(round(bottom * 10), round(top * 10) + 1):
        height = f"{y(tick / 10):.1f}"
        marks.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}" stroke="{LINE}"/>'
            f'<text x="{LEFT - 10}" y="{height}" dy="4" text-anchor="end">{tick / 10:.1f}</text>'
        )
    for size in sizes:
        marks.append(
            f'<text x="{x(size):.1f}" y="{HEIGHT - 26}" text-anchor="middle">{size}</text>'
        )
    for index, (order, colour) in enumerate(COLOURS.items()):
        curve = [(x(size), point) for size, point in zip(sizes, found, strict=True)]
        name = f"{order}_f1"
        upper = [f"{at:.1f},{y(point[f'{name}_high']):.1f}" for at, point in curve]
        lower = [f"{at:.1f},{y(point[f'{name}_low']):.1f}" for at, point in reversed(curve)]
        middle = " ".join(f"{at:.1f},{y(point[name]):.1f}" for at, point in curve)
        marks += [
            f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" fill-opacity="0.12"/>',
            f'<polyline points="{middle}" fill="none" stroke="{colour}" stroke-width="2.5"/>',
            *(
                f'<circle cx="{at:.1f}" cy="{y(point[name]):.1f}" r="4" fill="{colour}"/>'
                for at, point in curve
            ),
            f'<text x="{LEFT + 20}" y="{TOP + 20 + 20 * index}" style="fill:{colour}">'
            f"{order}</text>",
        ]
    marks.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        "labelled episodes</text>"
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        "F1 on held-out episodes</text>"
    )
    style = f"text{{font:13px sans-serif;fill:{INK}}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<style>{style}</style>{''.join(marks)}</svg>\n"
    )


def _interval(point: Point, name: str, *, sign: str = "") -> str:
    value, low, high = (f"{point[key]:{sign}.3f}" for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value} [{low}, {high}]"
