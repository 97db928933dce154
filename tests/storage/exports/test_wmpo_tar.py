"""Episodes as the tar of the paper's code: its layout, exact round trips, and what is refused."""

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.gate.formats.arrays import npy, npz, read_npy, read_npz
from storage.exports.contents import LabelledEpisode
from storage.exports.formats import read_episodes
from storage.exports.wmpo_tar import read_wmpo_tar, write_wmpo_tar
from tests.storage.exports.lerobot_episodes import labelled, same, silent

TOKENS = np.arange(8).reshape(2, 4)
Changes = dict[str, Callable[[bytes], bytes | None]]


def with_tokens(item: LabelledEpisode) -> LabelledEpisode:
    arrays = {**item.episode.arrays, "tokens": TOKENS}
    return dataclasses.replace(item, episode=dataclasses.replace(item.episode, arrays=arrays))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "episodes.wmpo.tar"
    write_wmpo_tar(path, [with_tokens(labelled(0)), silent(1)])
    return path


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}  # type: ignore[union-attr]


def changed(path: Path, changes: Changes, **more: bytes) -> Path:
    """The tar with some members changed, left out (None), or more."""
    found = members(path) | more
    with tarfile.open(path, "w") as archive:
        for name, content in found.items():
            new = changes.get(name, lambda same: same)(content)
            if new is not None:
                about = tarfile.TarInfo(name)
                about.size = len(new)
                archive.addfile(about, io.BytesIO(new))
    return path


def test_episodes_come_back_as_they_were(written: Path) -> None:
    found = read_episodes(written)
    assert found.problems == ()
    for item, wanted in zip(found.episodes, (with_tokens(labelled(0)), silent(1)), strict=True):
        same(item, wanted)


def test_the_members_are_those_of_the_official_collector(written: Path) -> None:
    found = members(written)
    video, action = (read_npy(found[f"episode-000000.{n}.npy"]) for n in ("video", "action"))
    assert (video.dtype, video.shape) == (np.uint8, (49, 8, 8, 3))  # the task's horizon is 48
    assert (action.dtype, action.shape) == (np.float32, (48, 4))
    np.testing.assert_array_equal(video[:5], labelled(0).episode.frames)
    assert not video[5:].any()
    assert not action[4:].any()
    np.testing.assert_array_equal(read_npy(found["episode-000000.responses.npy"]), TOKENS)
    assert read_npy(found["episode-000000.state_id.npy"]) == 7
    meta = {"complete": True, "finish_step": 3, "unique_id": "dream-0"}
    assert json.loads(found["episode-000000.meta.json"]) == meta
    assert "episode-000001.responses.npy" not in found


def official(path: Path, **changes: Any) -> Path:
    """As the paper's code writes it: nothing of ours, and what the policy was shown."""
    values = {
        "video.npy": npy(np.arange(6, dtype=np.uint8)[:, None, None, None].repeat(3, 3)),
        "action.npy": npy(np.ones((5, 7), np.float32)),
        "input_ids.npy": b"whatever",
        "state_id.npy": npy(np.array(12, np.uint8)),
        "meta.json": json.dumps(
            {"complete": True, "finish_step": 3, "unique_id": "coffee_12"} | changes
        ).encode(),
    }
    with tarfile.open(path, "w"):
        pass
    return changed(path, {}, **{f"000007.{name}": content for name, content in values.items()})


def test_a_tar_of_the_papers_code_is_taken_in_as_recordings(tmp_path: Path) -> None:
    [problem] = read_wmpo_tar(official(tmp_path / "shard_000.tar")).problems
    assert str(problem).startswith("000007: no studio wrote this: take it in as recordings")


def in_record(**values: Any) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        record = json.loads(content)
        record["episode"] |= values
        return json.dumps(record).encode()

    return change


def said(**values: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | values).encode()


def array(value: np.ndarray) -> Callable[[bytes], bytes]:
    return lambda content: npy(value)


@pytest.mark.parametrize(
    ("member", "change", "sentence"),
    [
        ("meta.json", lambda _: None, "meta.json: is missing"),
        ("video.npy", lambda _: None, "video.npy: is missing"),
        ("wmpo.npz", lambda _: None, "wmpo.npz: is missing"),
        ("meta.json", lambda _: b"{", "meta.json: Expecting property name"),
        ("meta.json", lambda _: b"[" * 100_000, "meta.json: "),
        ("meta.json", said(finish_step=49), "finish_step 49 is not one of 48 steps"),
        ("meta.json", said(complete=1), "complete must be true or false, not 1"),
        ("meta.json", said(unique_id="other"), "but the episode makes it"),
        ("state_id.npy", array(np.array(8)), "state_id.npy: is 8, but the episode makes it 7"),
        ("state_id.npy", array(np.array([7])), "an array [1] of int64 cannot be it"),
        ("video.npy", lambda content: content[:-1], "does not have"),
        ("video.npy", lambda _: b"\x80\x04N.", "video.npy: "),
        ("video.npy", array(np.zeros((3, 8, 8, 3), np.uint8)), "3 frames do not fit 48 actions"),
        ("action.npy", array(np.array(["a"])), "it holds <U1, not numbers"),
        ("action.npy", array(np.ones((48, 4), np.float32)), "row 4: goes on after the episode's"),
        ("responses.npy", array(TOKENS + 1), "differs from the tokens of the episode"),
        ("wmpo.json", in_record(num_actions=49), "num_actions 49 is not one of 48 steps"),
        ("wmpo.json", in_record(num_actions=3), "goes on after the episode's end"),
        ("wmpo.json", in_record(id="../evil"), "'../evil' is not an episode id"),
        ("wmpo.json", in_record(end_step="3"), "end_step must be int, not '3'"),
        ("wmpo.json", lambda _: b"[]", "it must be an object"),
        ("wmpo.json", lambda _: b"{}", "episode is missing"),
        ("wmpo.npz", lambda _: b"PK", "its arrays cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_member(
    written: Path, member: str, change: Callable[[bytes], bytes | None], sentence: str
) -> None:
    found = read_wmpo_tar(changed(written, {f"episode-000000.{member}": change}))
    assert found.episodes == ()
    assert sentence in str(found.problems[0])
    assert str(found.problems[0]).startswith("episode-000000.")


def test_one_wrong_sample_does_not_hide_the_next(written: Path) -> None:
    broken: Changes = {f"episode-00000{n}.meta.json": lambda _: b"no" for n in (0, 1)}
    found = read_wmpo_tar(changed(written, broken))
    assert [problem.file for problem in found.problems] == list(broken)


def test_an_episode_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_wmpo_tar(tmp_path / "twice.tar", [silent(0), silent(0)])
    [problem] = read_wmpo_tar(tmp_path / "twice.tar").problems
    assert str(problem) == "episode-000001: dream-0 is there twice"


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("../escape.video.npy", tarfile.REGTYPE, "is not the name of a sample's file"),
        ("/etc.video.npy", tarfile.REGTYPE, "is not the name of a sample's file"),
        ("a/b.video.npy", tarfile.REGTYPE, "is not the name of a sample's file"),
        ("episode-000000.meta.json", tarfile.REGTYPE, "is there twice"),
        ("a.video.npy", tarfile.SYMTYPE, "is a link, a device or a folder"),
        ("a.video.npy", tarfile.LNKTYPE, "is a link, a device or a folder"),
        ("a.video.npy", tarfile.CHRTYPE, "is a link, a device or a folder"),
        ("a.video.npy", tarfile.FIFOTYPE, "is a link, a device or a folder"),
    ],
)
def test_hostile_members_are_refused(written: Path, name: str, kind: bytes, sentence: str) -> None:
    with tarfile.open(written, "a") as archive:
        about = tarfile.TarInfo(name)
        about.type, about.linkname = kind, "/etc/hostname"
        archive.addfile(about)
    found = read_wmpo_tar(written)
    [problem] = found.problems
    assert (found.episodes, problem.file) == ((), name)
    assert sentence in problem.reason


@pytest.mark.parametrize("cut", [100, 600, 20_000])
def test_a_cut_off_tar_is_refused(written: Path, cut: int) -> None:
    data = written.read_bytes()
    written.write_bytes(data[:cut])
    try:
        assert read_wmpo_tar(written).problems
    except ValueError as error:
        assert "that is no WMPO WebDataset tar" in str(error)


def test_a_compressed_or_too_large_tar_is_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_wmpo_tar(written, largest=20_000)
    packed = tmp_path / "packed.tar"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(written, "episode-000000.video.npy")
    with pytest.raises(ValueError, match="that is no WMPO WebDataset tar"):
        read_wmpo_tar(packed)


@pytest.mark.parametrize("shape", [(2**40,), (-1,), (2**62, 2**62)])
def test_a_header_that_lies_costs_no_memory(shape: tuple[int, ...]) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with pytest.raises(ValueError, match=r"does not have 0 bytes|array file|shape"):
        read_npy(buffer.getvalue())


def test_arrays_of_every_order_come_back(tmp_path: Path) -> None:
    for values in (np.arange(6).reshape(2, 3).T, np.array(3.5), np.zeros((0, 2), bool)):
        found = read_npy(npy(values))
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_npz(npz({"a": np.zeros(10_000)}), largest=1_000)


def test_nothing_chosen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose at least one episode"):
        write_wmpo_tar(tmp_path / "empty.tar", [])
