"""Series in, Plotly figures out."""

import json

import pytest

from app.plots import OPTIMISE, Chart, Trace, downsample, figure, skeletons

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


def test_a_figure_holds_the_points_of_each_metric() -> None:
    drawn = figure(CHART, {"rollout/success_rate": [[1, 0.25], [2, 0.5]]})
    imagined, real = drawn["data"]
    assert (imagined["x"], imagined["y"]) == ([1, 2], [0.25, 0.5])
    assert (real["x"], real["y"]) == ([], [])


def test_a_trace_names_its_metric_so_that_new_points_find_it() -> None:
    assert [trace["meta"] for trace in figure(CHART, {})["data"]] == [
        "rollout/success_rate",
        "real/success_rate",
    ]


def test_a_share_is_drawn_on_its_whole_range() -> None:
    assert figure(CHART, {})["layout"]["yaxis"]["range"] == [0.0, 1.0]


def test_light_and_dark_differ_in_colours_only() -> None:
    light, dark = figure(CHART, {}), figure(CHART, {}, dark=True)
    assert light["data"][0]["line"]["color"] != dark["data"][0]["line"]["color"]
    assert light["layout"]["margin"] == dark["layout"]["margin"]


def test_every_chart_goes_to_the_browser_as_json_in_both_themes() -> None:
    sent = json.loads(json.dumps(skeletons(OPTIMISE)))
    assert [chart["name"] for chart in sent] == [chart.name for chart in OPTIMISE]
    assert all({"light", "dark"} <= set(chart) for chart in sent)


def test_names_of_charts_are_fit_for_element_ids() -> None:
    assert all(chart.name.isidentifier() for chart in OPTIMISE)
    assert len({chart.name for chart in OPTIMISE}) == len(OPTIMISE)


def test_few_points_are_kept_as_they_are() -> None:
    assert downsample([[0, 1.0], [1, 2.0]], 10) == [[0, 1.0], [1, 2.0]]


@pytest.mark.parametrize("most", [10, 100])
def test_many_points_are_thinned_but_no_peak_is_lost(most: int) -> None:
    points = [[step, 0.0] for step in range(1000)]
    points[617][1] = 5.0
    points[618][1] = -3.0
    kept = downsample(points, most)
    assert len(kept) <= most
    assert [617, 5.0] in kept
    assert [618, -3.0] in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_thinned_points_stay_in_order() -> None:
    kept = downsample([[step, (step * 7919) % 101] for step in range(500)], 50)
    assert kept == sorted(kept)
