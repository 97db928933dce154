"""The event line codec survives torn lines and flipped bits."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.events import decode_line, encode_line, read_events

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=3,
)
events = st.dictionaries(st.text(max_size=6), values, max_size=3)


def write_log(root: Path, *lines: bytes) -> Path:
    path = root / "events.jsonl"
    path.write_bytes(b"".join(lines))
    return path


@given(events)
def test_what_is_encoded_is_decoded_again(event: dict[str, Any]) -> None:
    line = encode_line(event)
    assert decode_line(line) == event
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


def test_a_line_is_a_checksum_a_space_and_compact_json() -> None:
    # The checksum as gzip writes it: printf '{"seq":1}' | gzip | tail -c8 | od -tx4
    assert encode_line({"seq": 1}) == b'a589bc6d {"seq":1}\n'


@given(events, st.integers(0, 2**20))
def test_a_flipped_bit_never_passes_for_another_event(event: dict[str, Any], position: int) -> None:
    line = bytearray(encode_line(event))
    position %= 8 * len(line)
    line[position // 8] ^= 1 << position % 8
    parts = bytes(line).split(b"\n")
    assert [part for part in parts if decode_line(part) not in (None, event)] == []


@given(events, st.integers(0, 2**20))
def test_a_torn_line_is_no_event(event: dict[str, Any], kept: int) -> None:
    body = encode_line(event).removesuffix(b"\n")
    assert decode_line(body[: kept % len(body)]) is None


@pytest.mark.parametrize("line", [b"", b"\n", b" ", b"00000000 ", b"zzzzzzzz {}", b"{}", b"\xff"])
def test_what_is_no_line_is_no_event(line: bytes) -> None:
    assert decode_line(line) is None


def test_json_that_is_not_an_object_is_no_event() -> None:
    assert decode_line(b"4c2f32b8 [1]\n") is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_line({"loss": number})


@given(written=st.lists(events, max_size=4), cut=st.integers(0, 2**20))
def test_a_log_cut_anywhere_gives_its_whole_lines(
    written: list[dict[str, Any]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [encode_line(event) for event in written]
    log = b"".join(lines)
    cut %= len(log) + 1
    path = write_log(tmp_path_factory.mktemp("log"), log[:cut])
    whole = log[:cut].count(b"\n")
    assert [event for _, event in read_events(path)] == written[:whole]


@given(written=st.lists(events, min_size=1, max_size=4), data=st.data())
def test_reading_goes_on_from_any_offset_it_gave(
    written: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_log(tmp_path_factory.mktemp("log"), *map(encode_line, written))
    offsets = [offset for offset, _ in read_events(path)]
    index = data.draw(st.integers(0, len(written) - 1))
    assert [event for _, event in read_events(path, offsets[index])] == written[index + 1 :]


def test_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    path = write_log(tmp_path, encode_line({"seq": 1}), b"torn\n", encode_line({"seq": 3}))
    assert [event["seq"] for _, event in read_events(path)] == [1, 3]


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    first, second = encode_line({"seq": 1}), encode_line({"seq": 2})
    path = write_log(tmp_path, first, second[:-1])
    [(offset, event)] = read_events(path)
    assert event == {"seq": 1}
    path.write_bytes(first + second)
    assert [event for _, event in read_events(path, offset)] == [{"seq": 2}]


def test_an_absent_log_has_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "events.jsonl")) == []
