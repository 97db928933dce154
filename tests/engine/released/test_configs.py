"""Python configs as data: read where they are plain, refused by line where they are not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.released.configs import PythonConfig, parse_python_config, read_python_config


def parse(tmp_path: Path, text: str) -> PythonConfig:
    (tmp_path / "cfg.py").write_text(text)
    return read_python_config(tmp_path / "cfg.py")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x = 3", 3),
        ("x: int = 3", 3),
        ("x = -1e-4", -1e-4),
        ("x = 4 + 8 * 2 // 3 % 5 - 1", 4 + 8 * 2 // 3 % 5 - 1),
        ("x = 1 / 4", 0.25),
        ("x = (1, [2, None], {'a': True, 3: 'b'})", (1, [2, None], {"a": True, 3: "b"})),
        ("a = 256\nx = (a, a)", (256, 256)),
        ("x = dict(type='rflow', inner=dict(n=2))", {"type": "rflow", "inner": {"n": 2}}),
        ("import os\n\ndef f():\n    return 1\n\nx = 2", 2),
        ("x = open('gone')\nx = 5", 5),
    ],
)
def test_plain_data_are_read(tmp_path: Path, text: str, value: Any) -> None:
    assert parse(tmp_path, text).get("x") == value


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("\nx = open('/etc/passwd').read()", 2, "`open("),
        ("x = __import__('os').system('true')", 1, "`__import__"),
        ("x = [i for i in range(3)]", 1, "`[i for"),
        ("x = f'{1}'", 1, "`f'"),
        ("x = 10 ** 10 ** 10", 1, "`10 ** 10"),
        ("x = 'a' * 1000000000", 1, "no number"),
        ("x = [0] * 1000000", 1, "no number"),
        ("x = 1 / 0", 1, "no number (division by zero)"),
        ("x = True + 1", 1, "no number"),
        ("x = unknown", 1, "`unknown`"),
        ("x = dict({'a': 1})", 1, "`dict("),
        ("x = {**{}}", 1, "`{**{}}`"),
        ("a = f()\n\nx = a", 3, "made from a"),
        ("x = 1\nif True:\n    x = 2", 2, "more than a plain assignment"),
        ("x = dict(a=1)\nx['a'] = 2", 2, "more than a plain assignment"),
        ("x = dict(a=1)\nx.update(a=2)", 2, "more than a plain assignment"),
        ("x, y = 1, 2", 1, "more than a plain assignment"),
        ("x = 1\nx += 1", 2, "more than a plain assignment"),
    ],
)
def test_what_is_not_plain_is_an_error_that_names_the_line(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    config = parse(tmp_path, text)
    with pytest.raises(ValueError, match=rf"^cfg\.py, line {line}: x is ") as caught:
        config.get("x")
    assert what in str(caught.value)


def test_what_nobody_needs_may_be_anything(tmp_path: Path) -> None:
    config = parse(tmp_path, "wandb = get_key()\nnum_frames = 12\n")
    assert config.get("num_frames") == 12
    assert config.get("fps", 3) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (", r"cfg\.py, line 1: "),
        ("_base_ = ['../base.py']", "builds on another file"),
        ("x = " + "(" * 5000, "cfg.py"),
        ("x = " + "-" * 50_000 + "1", "cfg.py"),
        ("\0", "cfg.py"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(tmp_path, text)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="larger than"):
        parse(tmp_path, "x = 1\n" * 200_000)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab\n'é"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("kl"), inner),
    max_leaves=10,
)


@given(plain)
@settings(max_examples=50, deadline=None)
def test_whatever_python_prints_of_plain_data_is_read_back(value: Any) -> None:
    config = parse_python_config("cfg.py", f"x = {value!r}".replace("inf", "1e999"))
    assert json.dumps(config.get("x")) == json.dumps(value)
