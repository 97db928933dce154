"""Nobody is tested on what they learnt from."""

import json
from pathlib import Path

import pytest

from engine.config import Config
from engine.learning.card import card
from engine.records.manifest import write_manifest
from engine.statistics.leaks import check_apart, learnt_from, merge, overlap, to_ranges


def test_start_ids_become_ranges_and_uploads_are_no_starts() -> None:
    assert to_ranges([5, 3, 4, -1, 9, 4]) == [[3, 5], [9, 9]]


def test_ranges_merge_where_they_overlap_or_touch() -> None:
    assert merge([[1, 3], [10, 12]], [[4, 6], [20, 20]], [[11, 15]]) == [[1, 6], [10, 15], [20, 20]]


def test_the_overlap_is_counted_in_starts() -> None:
    assert overlap([[0, 9], [15, 30]], range(5, 20)) == 10
    assert overlap([[0, 9]], range(10, 20)) == 0


def test_a_leak_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"the policy learnt from 3 of the 10 starts .* \(pool rl\)"
    ):
        check_apart("the policy", [[300_007, 300_020]], range(300_000, 300_010))


def test_a_card_inherits_the_starts_of_everything_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "card.json").write_text(json.dumps({"starts": [[1_000_000, 1_000_003]]}))
    write_manifest(tmp_path / "world")
    parents = {"world_model": str(tmp_path / "world"), "reward_model": ""}
    document = card(Config(), {}, parents=parents, start_ids=[300_000, 300_001])
    assert document["starts"] == [[300_000, 300_001], [1_000_000, 1_000_003]]


def test_an_older_card_stands_for_the_pools_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    assert learnt_from(tmp_path) == []
    document = {"data": {"coffee-push expert (demonstrations)": 9, "push play (play)": 1}}
    (tmp_path / "card.json").write_text(json.dumps(document))
    assert learnt_from(tmp_path) == [[0, 199_999]]
