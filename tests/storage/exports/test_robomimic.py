"""Episodes as robomimic HDF5: its layout, exact round trips, and what is refused."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.records.types import Outcome
from storage.exports import hdf5_arrays
from storage.exports.formats import read_episodes
from storage.exports.robomimic import read_robomimic, write_robomimic
from tests.storage.exports.lerobot_episodes import labelled, same, silent

ITEMS = [labelled(0), silent(1, imagined=False), silent(2, outcome=Outcome(False, 4))]
CAMERA = "data/demo_0/obs/agentview_image"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "episodes.hdf5"
    write_robomimic(path, ITEMS)
    return path


def test_episodes_come_back_as_they_were(written: Path) -> None:
    found = read_episodes(written)
    assert found.problems == ()
    for item, wanted in zip(found.episodes, ITEMS, strict=True):
        same(item, wanted)


def test_the_file_is_laid_out_as_robomimic_reads_it(written: Path) -> None:
    with h5py.File(written) as file:
        data = file["data"]
        assert list(data) == ["demo_0", "demo_1", "demo_2"]
        assert data.attrs["total"] == 12
        env = {"env_name": "coffee-push-v3", "type": 2, "env_kwargs": {}}
        assert json.loads(data.attrs["env_args"]) == env
        demo = data["demo_0"]
        assert demo.attrs["num_samples"] == 4
        np.testing.assert_array_equal(demo["actions"], ITEMS[0].episode.actions)
        np.testing.assert_array_equal(demo["obs/agentview_image"], ITEMS[0].episode.frames[:-1])
        assert demo["rewards"][()].tolist() == [0, 0, 1, 0]
        assert demo["dones"][()].tolist() == [0, 0, 1, 1]
        assert data["demo_2/rewards"][()].tolist() == [0, 0, 0, 0]
        masks = {name: values[()].tolist() for name, values in file["mask"].items()}
        assert masks == {
            "imagined": [b"demo_0", b"demo_2"],
            "real": [b"demo_1"],
            "success": [b"demo_0", b"demo_1"],
            "human_success": [b"demo_0"],
        }


def test_one_file_holds_one_task(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a robomimic file holds one task"):
        write_robomimic(tmp_path / "two.hdf5", [silent(0), silent(1, task="push")])
    with pytest.raises(ValueError, match="choose at least one episode"):
        write_robomimic(tmp_path / "none.hdf5", [])


def test_a_file_that_no_studio_wrote_is_taken_in_as_recordings() -> None:
    path = Path(__file__).parents[2] / "golden" / "recordings" / "demo.hdf5"
    [problem] = read_robomimic(path).problems
    assert str(problem).startswith("file: no studio wrote this: take it in as recordings")


# Hostile and damaged files: what the child says, without the second it takes to start one. That it
# runs confined is shown once below, and of the sandbox itself in tests/engine.


def answer(path: Path, *, largest: int = 2**20) -> str:
    target = path.with_suffix(".npz")
    said = hdf5_arrays.main([str(path), str(target), str(largest)])
    assert target.exists() == (said == {})
    return f"{said['place']}: {said['reason']}" if said else ""


def replaced(path: Path, place: str, make: Callable[[h5py.Group, str], None]) -> Path:
    with h5py.File(path, "r+") as file:
        del file[place]
        make(file, place)
    return path


def external(file: h5py.Group, place: str) -> None:
    file[place] = h5py.ExternalLink("elsewhere.hdf5", "/actions")


def soft(file: h5py.Group, place: str) -> None:
    file[place] = h5py.SoftLink("/data/demo_1/actions")


def virtual(file: h5py.Group, place: str) -> None:
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.hdf5", "actions", (4, 4))
    file.create_virtual_dataset(place, layout)


def outside(file: h5py.Group, place: str) -> None:
    file.create_dataset(place, (4, 4), "f4", external=[("/etc/hostname", 0, 64)])


def text(file: h5py.Group, place: str) -> None:
    file[place] = np.array(["a", "b"], h5py.string_dtype())


def reference(file: h5py.Group, place: str) -> None:
    file.create_dataset(place, (1,), h5py.ref_dtype)


def bomb(file: h5py.Group, place: str) -> None:
    file.create_dataset(place, (2**40,), "f4", chunks=(2**20,), compression="gzip")


def packed(file: h5py.Group, place: str) -> None:
    file.create_dataset(place, (4, 4), "f4", chunks=(4, 4), scaleoffset=2)


def group(file: h5py.Group, place: str) -> None:
    file.create_group(place)


def nothing(file: h5py.Group, place: str) -> None:
    return


@pytest.mark.parametrize(
    ("place", "make", "sentence"),
    [
        ("data/demo_0/actions", external, "is a link, which is not followed"),
        ("data/demo_0/actions", soft, "is a link, which is not followed"),
        ("data/demo_0/obs", external, "is a link, which is not followed"),
        ("data/demo_0", soft, "is a link, which is not followed"),
        ("data", external, "is a link, which is not followed"),
        ("wmpo", external, "is a link, which is not followed"),
        ("data/demo_0/actions", virtual, "keeps its values outside, where they are not fetched"),
        ("data/demo_0/actions", outside, "keeps its values outside, where they are not fetched"),
        ("data/demo_0/actions", text, "holds object, not numbers"),
        ("data/demo_0/actions", reference, "holds object, not numbers"),
        (
            "data/demo_0/actions",
            packed,
            "is packed by a filter other than gzip or LZF: h5repack -f GZIP=4 mends it",
        ),
        ("data/demo_0/actions", group, "must be a dataset"),
        ("data/demo_0/actions", nothing, "is missing"),
        ("data/demo_0/obs", nothing, "is missing"),
        ("wmpo/demo_0", nothing, "is missing"),
        ("wmpo/demo_0/record", external, "is a link, which is not followed"),
    ],
)
def test_what_is_not_plain_is_refused(
    written: Path, place: str, make: Callable[[h5py.Group, str], None], sentence: str
) -> None:
    assert answer(replaced(written, place, make)) == f"{place}: {sentence}"


def test_a_bomb_is_refused_before_it_is_read(written: Path) -> None:
    assert answer(replaced(written, "data/demo_0/actions", bomb)) == (
        "data: it unpacks to more than 1 MB"
    )


def test_names_that_are_no_demonstrations_are_refused(written: Path, tmp_path: Path) -> None:
    with h5py.File(written, "r+") as file:
        file.create_group("data/demo_../../x")
    assert "is not a demonstration's name" in answer(written)
    with h5py.File(tmp_path / "empty.hdf5", "w") as file:
        file.create_group("data")
        file.create_group("wmpo")
    assert answer(tmp_path / "empty.hdf5") == "data: no demonstration is there"


@pytest.mark.parametrize("cut", [8, 600, 3_000])
def test_a_damaged_file_is_refused(written: Path, cut: int) -> None:
    written.write_bytes(written.read_bytes()[:cut])
    assert answer(written).startswith("file: it is damaged, or no HDF5 file")


def test_a_changed_value_is_named_by_its_place(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        file["data/demo_0/rewards"][0] = 1
        file["data/demo_1/actions"][0, 0] = np.nan
        file["wmpo/demo_2/last_frame"].attrs["harmless"] = 1
        record = file["wmpo/demo_2/record"]
        record[:] = np.frombuffer(record[()].tobytes().replace(b"dream-2", b"dream-0"), np.uint8)
    assert [str(problem) for problem in read_robomimic(written).problems] == [
        "data/demo_0/rewards: differs from what the episode makes it",
        "wmpo/demo_1/record: the actions of this episode are not finite float32 numbers",
    ]


def flips(data: bytes, count: int) -> Iterable[bytes]:
    draw = np.random.default_rng(5)
    for _ in range(count):
        flipped = bytearray(data)
        for place in draw.integers(0, len(data), 8):
            flipped[place] ^= 1 << int(draw.integers(8))
        yield bytes(flipped)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_flipped_bits_never_reach_the_studio(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "flipped.hdf5"
    for data in flips(written.read_bytes(), 200):
        path.write_bytes(data)
        try:
            found = read_robomimic(path)
            assert found.problems or len(found.episodes) == 3
        except ValueError as error:
            assert "HDF5 file" in str(error)
