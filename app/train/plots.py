"""Charts of a run as plain Plotly figures without points, for light and for dark.

No Plotly import: a figure is the dict {data, layout} that `Plotly.react` draws in the browser. The
page sends each figure once (`skeletons`) and then only points; every trace names its metric in
`meta`, so the browser knows where a point belongs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_INK = {
    "light": {"text": "#5b6577", "grid": "#e4e7ec"},
    "dark": {"text": "#9aa6b8", "grid": "#243044"},
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


def figure(chart: Chart, *, dark: bool = False) -> dict[str, Any]:
    """The Plotly figure {data, layout} of a chart, without points."""
    mode = "dark" if dark else "light"
    return {
        "data": [_trace(trace, mode) for trace in chart.traces],
        "layout": _layout(chart, mode),
    }


def skeletons(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    """What the browser needs to draw the charts as points arrive: both themes, no points."""
    return [
        {
            "name": chart.name,
            "title": chart.title,
            "light": figure(chart),
            "dark": figure(chart, dark=True),
        }
        for chart in charts
    ]


def _trace(trace: Trace, mode: str) -> dict[str, Any]:
    colour = _COLOURS[mode][trace.colour]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": trace.name,
        "meta": trace.metric,
        "x": [],
        "y": [],
        "line": {"color": colour, "width": 1.2 if trace.marks else 2},
        "marker": {"color": colour, "size": 8 if trace.marks else 5},
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
        "hovermode": False,  # one cursor for all charts is ours: the captions tell the values
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
            Trace(metric="audit/success_rate", name="audited", colour="ok", marks=True),
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
        name="drift",
        title="drift of the dreams",
        traces=(Trace(metric="rollout/drift", name="last frame"),),
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

# What any other metric is drawn on: the browser fills in its name.
OTHER = Chart(name="other", title="", traces=(Trace(metric="", name=""),))
