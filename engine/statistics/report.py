"""A report as blocks, rendered as Markdown and as one self-contained HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Heading:
    """A title (level 1) or a section's name (level 2)."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain prose."""

    text: str


@dataclass(frozen=True)
class Code:
    """A command to copy."""

    text: str


@dataclass(frozen=True)
class Cell:
    """One entry of a table; `strong` is for significant figures and nothing else."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column is text, the others are figures."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Bar:
    """One line of an interval chart; without an interval it says that it was not run.

    All values are shares in [0, 1]; `points` are the seeds.
    """

    label: str
    mean: float | None
    low: float = 0.0
    high: float = 0.0
    points: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """Means with their intervals, one line each. HTML only: tables say the same in Markdown."""

    title: str
    bars: Sequence[Bar]


Block = Heading | Paragraph | Code | Table | Chart


def to_markdown(blocks: Sequence[Block]) -> str:
    """The report for a repository page."""
    parts = [text for block in blocks if (text := _markdown(block))]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Code(text):
            return f"```\n{text}\n```"
        case Table(header, rows):
            lines = [header, ["---", *["--:"] * (len(header) - 1)]]
            lines += [[f"**{c.text}**" if c.strong else c.text for c in row] for row in rows]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return ""


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """The report as a page that needs nothing beside itself."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Table(header, rows):
            head = "".join(f"<th>{escape(name)}</th>" for name in header)
            lines = ["".join(map(_html_cell, row)) for row in rows]
            body = "\n".join(f"<tr>{line}</tr>" for line in lines)
            return f'<div class="wide"><table><tr>{head}</tr>\n{body}</table></div>'
        case Chart(title, bars):
            return _svg(title, bars)
    raise AssertionError(block)


def _html_cell(cell: Cell) -> str:
    text = escape(cell.text)
    return f"<td><strong>{text}</strong></td>" if cell.strong else f"<td>{text}</td>"


def _svg(title: str, bars: Sequence[Bar]) -> str:
    """Intervals on a scale from 0 to 100 %."""
    left, width, line = 190, 520, 34
    height = line * len(bars) + 34
    marks = []
    for percent in range(0, 101, 20):
        x = left + width * percent / 100
        marks.append(
            f'<line class="grid" x1="{x:g}" y1="6" x2="{x:g}" y2="{height - 24}"/>'
            f'<text class="axis" x="{x:g}" y="{height - 8}">{percent}</text>'
        )
    for row, bar in enumerate(bars):
        y = 22 + line * row
        marks.append(f'<text x="{left - 14}" y="{y + 4}" class="name">{escape(bar.label)}</text>')
        if bar.mean is None:
            marks.append(f'<text x="{left + 6}" y="{y + 4}" class="absent">not run</text>')
            continue
        low, mean, high = (left + width * v for v in (bar.low, bar.mean, bar.high))
        marks += [
            f'<circle class="seed" cx="{left + width * p:.1f}" cy="{y}" r="4"/>' for p in bar.points
        ]
        marks.append(
            f'<line class="span" x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}"/>'
            f'<circle class="mean" cx="{mean:.1f}" cy="{y}" r="5"/>'
        )
    return (
        f'<figure><svg viewBox="0 0 {left + width + 30} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(marks)}</svg>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


STYLE = """
:root { color-scheme: light dark; --ink: #1f2330; --soft: #667085; --line: #e4e7ec;
  --page: #fff; --accent: #4f46e5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ee; --soft: #98a2b3; --line: #2b3040;
  --page: #12141c; --accent: #8b85f5; } }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 860px; margin: 40px auto; padding: 0 20px; }
h1 { font-size: 24px; font-weight: 600; } h2 { font-size: 17px; font-weight: 600;
  margin-top: 36px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; } th { color: var(--soft); font-weight: 400; }
th:first-child, td:first-child { text-align: left; }
pre { background: color-mix(in srgb, var(--line) 45%, transparent); padding: 12px 14px;
  border-radius: 8px; overflow-x: auto; font-size: 13px; }
figure { margin: 20px 0; } svg { width: 100%; height: auto; font-size: 12px; }
svg text { fill: var(--ink); } .axis { fill: var(--soft); text-anchor: middle; }
.name { text-anchor: end; } .absent { fill: var(--soft); }
.grid { stroke: var(--line); } .span { stroke: var(--accent); stroke-width: 2.5; }
.mean { fill: var(--accent); } .seed { fill: none; stroke: var(--soft); }
figcaption { color: var(--soft); font-size: 13px; }
"""
