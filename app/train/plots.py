"""Charts of a run as plain Plotly figures without points, for light and for dark.

No Plotly import: a figure is the dict {data, layout} that `Plotly.react` draws in the browser. The
page sends each figure once (`skeletons`) and then only points; every trace names its metric in
`meta`, so the browser knows where a point belongs.
"""

from collections.abc import Mapping
from typing import Any

from engine.runs.job import Chart, Job, Trace

_INK = {
    "light": {"text": "#5b6577", "grid": "#e4e7ec"},
    "dark": {"text": "#9aa6b8", "grid": "#243044"},
}
_COLOURS = {
    "light": {
        "accent": "#4f46e5",
        "real": "#0e7490",
        "ok": "#067647",
        "bad": "#b42318",
        "plan": "#98a2b3",
    },
    "dark": {
        "accent": "#8b93ff",
        "real": "#22d3ee",
        "ok": "#4ade80",
        "bad": "#f97066",
        "plan": "#667085",
    },
}


def figure(chart: Chart, *, dark: bool = False) -> dict[str, Any]:
    """The Plotly figure {data, layout} of a chart, without points."""
    mode = "dark" if dark else "light"
    return {
        "data": [_trace(trace, mode) for trace in chart.traces],
        "layout": _layout(chart, mode),
    }


def skeleton(chart: Chart, job: str = "") -> dict[str, Any]:
    """What the browser needs to draw a chart as points arrive: both themes, no points."""
    return {
        "name": chart.name,
        "title": chart.title,
        "help": chart.help,
        "job": job,
        "light": figure(chart),
        "dark": figure(chart, dark=True),
    }


def skeletons(jobs: Mapping[str, Job]) -> list[dict[str, Any]]:
    """The charts that jobs declare, with the job of each."""
    return [skeleton(chart, name) for name, job in jobs.items() for chart in job.charts]


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
        "margin": {"l": 48, "r": 8, "t": 6, "b": 22},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": font,
        "showlegend": False,
        "hovermode": False,  # one cursor for all charts is ours: the captions tell the values
        "xaxis": {**axis, "showgrid": False, "rangemode": "nonnegative", "tickformat": "~d"},
        "yaxis": {**axis, **vertical, "nticks": 5, "tickformat": "~g", "ticksuffix": chart.unit},
    }


# What any other metric is drawn on: the browser fills in its name.
OTHER = Chart(name="other", title="", traces=(Trace(metric="", name=""),))
