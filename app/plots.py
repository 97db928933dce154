"""Charts of a run as plain Plotly figures: series in, JSON-able dicts out, for light and for dark.

No Plotly import: a figure is the dict {data, layout} that `Plotly.react` draws in the browser. The
page sends each figure once without points (`skeletons`) and then only new points; every trace names
its metric in `meta`, so the browser knows where a point belongs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Point = Sequence[float]  # (step, value)
Series = Mapping[str, Sequence[Point]]

MOST_POINTS = 3000

_INK = {
    "light": {"text": "#5b6577", "grid": "#e4e7ec", "hover": "#ffffff", "ink": "#101828"},
    "dark": {"text": "#9aa6b8", "grid": "#243044", "hover": "#121826", "ink": "#e6eaf2"},
}
_COLOURS = {
    "light": {"accent": "#4f46e5", "real": "#0e7490", "ok": "#067647", "bad": "#b42318"},
    "dark": {"accent": "#8b93ff", "real": "#22d3ee", "ok": "#4ade80", "bad": "#f97066"},
}


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One line: the metric it shows, its name in the legend, the role of its colour."""

    metric: str
    name: str
    colour: str = "accent"
    marks: bool = False  # measured now and then: points joined by a thin line


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart: a name fit for an element id, a title, its traces, a fixed range if it has one."""

    name: str
    title: str
    traces: tuple[Trace, ...]
    low: float | None = None
    high: float | None = None
    unit: str = field(default="")


def downsample(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` points, keeping the lowest and highest of each stretch, the first and last."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for index in range(stretches):
        first = 1 + index * (len(points) - 2) // stretches
        last = 1 + (index + 1) * (len(points) - 2) // stretches
        stretch = range(first, max(last, first + 1))
        kept.add(min(stretch, key=lambda place: points[place][1]))
        kept.add(max(stretch, key=lambda place: points[place][1]))
    return [points[place] for place in sorted(kept)]


def figure(chart: Chart, series: Series, *, dark: bool = False) -> dict[str, Any]:
    """The Plotly figure {data, layout} of a chart; a metric without points gives an empty line."""
    mode = "dark" if dark else "light"
    return {
        "data": [_trace(trace, series.get(trace.metric, ()), mode) for trace in chart.traces],
        "layout": _layout(chart, mode),
    }


def skeletons(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    """What the browser needs to draw the charts as points arrive: both themes, no points."""
    return [
        {
            "name": chart.name,
            "title": chart.title,
            "light": figure(chart, {}),
            "dark": figure(chart, {}, dark=True),
        }
        for chart in charts
    ]


def _trace(trace: Trace, points: Sequence[Point], mode: str) -> dict[str, Any]:
    colour = _COLOURS[mode][trace.colour]
    kept = downsample(points)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": trace.name,
        "meta": trace.metric,
        "x": [point[0] for point in kept],
        "y": [point[1] for point in kept],
        "line": {"color": colour, "width": 1.2 if trace.marks else 2},
        "marker": {"color": colour, "size": 8 if trace.marks else 5},
        "hovertemplate": f"{trace.name} %{{y:.4~g}}<extra></extra>",
    }


def _layout(chart: Chart, mode: str) -> dict[str, Any]:
    ink = _INK[mode]
    font = {"family": "ui-monospace, Menlo, Consolas, monospace", "size": 10, "color": ink["text"]}
    fixed = chart.low is not None and chart.high is not None
    vertical = {"range": [chart.low, chart.high]} if fixed else {"rangemode": "tozero"}
    axis = {"gridcolor": ink["grid"], "zerolinecolor": ink["grid"], "linecolor": ink["grid"]}
    return {
        "margin": {"l": 40, "r": 8, "t": 6, "b": 22},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": font,
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": ink["hover"], "font": {"color": ink["ink"], "size": 11}},
        "xaxis": {**axis, "showgrid": False, "rangemode": "nonnegative", "tickformat": "~d"},
        "yaxis": {**axis, **vertical, "nticks": 5, "tickformat": "~g", "ticksuffix": chart.unit},
    }


OPTIMISE = (
    Chart(
        name="success",
        title="success",
        traces=(
            Trace(metric="rollout/success_rate", name="imagined"),
            Trace(metric="real/success_rate", name="real", colour="real", marks=True),
        ),
        low=0.0,
        high=1.0,
    ),
    Chart(
        name="groups",
        title="groups",
        traces=(
            Trace(metric="grpo/kept_groups", name="kept"),
            Trace(metric="grpo/all_success_groups", name="all ✓", colour="ok"),
            Trace(metric="grpo/all_fail_groups", name="all ✕", colour="bad"),
        ),
    ),
    Chart(
        name="reward",
        title="reward",
        traces=(Trace(metric="rollout/reward", name="mean"),),
    ),
    Chart(
        name="clip",
        title="clip fraction",
        traces=(Trace(metric="grpo/clip_fraction", name="clipped"),),
    ),
    Chart(
        name="kl",
        title="approximate KL",
        traces=(Trace(metric="grpo/approx_kl", name="nats a token"),),
    ),
    Chart(
        name="entropy",
        title="policy entropy",
        traces=(Trace(metric="rollout/entropy", name="nats a token"),),
    ),
    Chart(
        name="gradient",
        title="gradient norm",
        traces=(Trace(metric="grpo/gradient_norm", name="before clipping"),),
    ),
    Chart(
        name="speed",
        title="imagined frames/s",
        traces=(Trace(metric="rollout/frames_per_second", name="frames/s"),),
    ),
)
