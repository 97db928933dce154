"""Knobs, strict conversion from and to plain values, and command-line assignments."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Config, assign, knob


@dataclass(frozen=True, kw_only=True)
class Trunk(Config):
    width: int = knob(32, "Numbers per token", low=1, high=4096)
    stem: str = knob("patch", "How pixels become tokens", choices=("patch", "conv"))


@dataclass(frozen=True, kw_only=True)
class Sizes(Config):
    name: str = knob(help="What to call it")
    rate: float = knob(1e-3, "Learning rate", low=0.0, high=1.0)
    smooth: bool = knob(False, "Smooth the targets")
    limit: int | None = knob(None, "Most samples; none for all", low=1)
    depths: tuple[int, ...] = knob((2, 2), "Blocks in each stage", low=1)
    center: tuple[float, float] = knob((0.0, 0.0), "Row and column")
    trunk: Trunk = knob(factory=Trunk, help="Its eyes")
    second: Trunk | None = knob(None, "Another pair of eyes")


trunks = st.builds(Trunk, width=st.integers(1, 4096), stem=st.sampled_from(("patch", "conv")))
numbers = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Sizes,
    name=st.text(),
    rate=st.floats(0.0, 1.0),
    smooth=st.booleans(),
    limit=st.none() | st.integers(1),
    depths=st.lists(st.integers(1)).map(tuple),
    center=st.tuples(numbers, numbers),
    trunk=trunks,
    second=st.none() | trunks,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(configs)
def test_a_config_survives_a_journey_through_json(config: Sizes) -> None:
    assert Sizes.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(st.sampled_from(("rate", "limit", "depths", "center", "trunk", "second")), json_values)
def test_any_json_value_is_accepted_or_refused_with_a_sentence(name: str, value: object) -> None:
    try:
        config = Sizes.from_dict({"name": "a", name: value})
    except ValueError as error:
        assert name in str(error)
    else:
        assert Sizes.from_dict(config.to_dict()) == config


def test_names_that_are_not_given_keep_their_defaults() -> None:
    assert Sizes.from_dict({"name": "a", "trunk": {"width": 8}}).trunk == Trunk(width=8)


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ValueError, match="Trunk has no option widht; it has width, stem"):
        Sizes.from_dict({"name": "a", "trunk": {"widht": 8}})


def test_a_name_without_a_default_has_to_be_given() -> None:
    with pytest.raises(ValueError, match="Sizes needs name"):
        Sizes.from_dict({"rate": 0.1})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", -0.1, "Sizes.rate must be at least 0.0, not -0.1"),
        ("rate", 1.1, "Sizes.rate must be at most 1.0, not 1.1"),
        ("rate", float("nan"), "Sizes.rate must be a finite number, not nan"),
        ("center", [0.0, float("inf")], "Sizes.center must be a finite number, not inf"),
        ("rate", "0.1", "Sizes.rate must be of type float, not '0.1'"),
        ("rate", True, "Sizes.rate must be of type float, not True"),
        ("rate", 10**400, "Sizes.rate must be of type float, not 1000"),
        ("smooth", 1, "Sizes.smooth must be of type bool, not 1"),
        ("limit", 0, "Sizes.limit must be at least 1, not 0"),
        ("limit", 2.0, "Sizes.limit must be of type int, not 2.0"),
        ("depths", [2, 0], "Sizes.depths must be at least 1, not 0"),
        ("depths", "22", "Sizes.depths must be a list, not '22'"),
        ("center", [1.0], "Sizes.center must be a list of 2, not "),
        ("trunk", 3, "Sizes.trunk must be an object, not 3"),
        ("trunk", {"stem": "pool"}, "Trunk.stem must be one of patch, conv, not 'pool'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sizes.from_dict({"name": "a", name: value})


def test_a_range_holds_at_construction_and_for_a_copy() -> None:
    config = Trunk(width=8)
    assert config.replace(width=16) == Trunk(width=16)
    with pytest.raises(ValueError, match="at most 4096"):
        config.replace(width=5000)
    with pytest.raises(ValueError, match="at least 1"):
        Trunk(width=0)


def test_a_whole_number_may_stand_for_a_fraction() -> None:
    assert Sizes.from_dict({"name": "a", "rate": 1}).to_dict()["rate"] == 1.0


@pytest.mark.parametrize(
    ("assignment", "values"),
    [
        ("a=3", {"a": 3, "b": {"c": 1}}),
        ("b.c=2.5", {"b": {"c": 2.5}}),
        ("b.d.e=[1, 2]", {"b": {"c": 1, "d": {"e": [1, 2]}}}),
        ("a=runs/one=two", {"a": "runs/one=two", "b": {"c": 1}}),
        ("a=", {"a": "", "b": {"c": 1}}),
        ('a="3"', {"a": "3", "b": {"c": 1}}),
        ("a=null", {"a": None, "b": {"c": 1}}),
    ],
)
def test_an_assignment_reaches_its_place(assignment: str, values: dict[str, object]) -> None:
    changed: dict[str, object] = {"b": {"c": 1}}
    assign(changed, assignment)
    assert changed == values


@pytest.mark.parametrize("assignment", ["a", "a.b=1", "a.b.c=1"])
def test_an_assignment_that_has_no_place_is_refused(assignment: str) -> None:
    with pytest.raises(ValueError, match="--set"):
        assign({"a": 3}, assignment)


@dataclass(frozen=True, kw_only=True)
class _Inner(Config):
    steps: int = knob(10, "Steps")
    rate: float = knob(1.0, "Rate")


@dataclass(frozen=True, kw_only=True)
class _Outer(Config):
    inner: _Inner = knob(help="Inner", factory=lambda: _Inner(steps=3, rate=0.5))


def test_a_nested_object_keeps_the_fields_own_defaults_where_it_says_nothing() -> None:
    assert _Outer.from_dict({"inner": {"steps": 7}}).inner == _Inner(steps=7, rate=0.5)
