"""Charts as Plotly figures without points."""

import json

from app.train.methods import offered
from app.train.plots import figure, skeletons
from engine.runs.job import Chart, Trace

CHART = Chart(
    name="success",
    title="success",
    traces=(
        Trace(metric="rollout/success_rate", name="imagined"),
        Trace(metric="real/success_rate", name="real", colour="real", marks=True),
    ),
    low=0.0,
    high=1.0,
)


def test_a_trace_names_its_metric_so_that_new_points_find_it() -> None:
    assert [trace["meta"] for trace in figure(CHART)["data"]] == [
        "rollout/success_rate",
        "real/success_rate",
    ]


def test_a_share_is_drawn_on_its_whole_range() -> None:
    assert figure(CHART)["layout"]["yaxis"]["range"] == [0.0, 1.0]


def test_light_and_dark_differ_in_colours_only() -> None:
    light, dark = figure(CHART), figure(CHART, dark=True)
    assert light["data"][0]["line"]["color"] != dark["data"][0]["line"]["color"]
    assert light["layout"]["margin"] == dark["layout"]["margin"]


def test_every_chart_goes_to_the_browser_as_json_in_both_themes() -> None:
    sent = json.loads(json.dumps(skeletons(offered())))
    assert {"optimise"} <= {chart["job"] for chart in sent}
    assert all({"light", "dark"} <= set(chart) for chart in sent)


def test_no_two_lines_of_a_chart_look_alike() -> None:
    for chart in skeletons(offered()):
        for mode in ("light", "dark"):
            lines = [trace["line"] for trace in chart[mode]["data"] if trace["line"]["width"] == 2]
            colours = [line["color"] for line in lines]
            assert len(set(colours)) == len(colours), chart["title"]


def test_names_of_charts_are_fit_for_element_ids() -> None:
    names = [chart["name"] for chart in skeletons(offered())]
    assert all(name.isidentifier() for name in names)
    assert len(set(names)) == len(names)
