"""Safetensors files: read lazily, written a shard at a time."""

import json
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.checkpoints.tensor_files import (
    DTYPES,
    StoredTensor,
    indexed_files,
    open_tensors,
    stored_files,
    write_shards,
)


def stored(values: Tensor) -> StoredTensor:
    return StoredTensor(tuple(values.shape), values.dtype, lambda: values)


def numbered(count: int, size: int = 4) -> dict[str, Tensor]:
    return {f"t{index}": torch.full((size,), float(index)) for index in range(count)}


def write(directory: Path, tensors: dict[str, Tensor], shard_bytes: int) -> list[int]:
    sizes: list[int] = []
    pairs = [(name, stored(tensor)) for name, tensor in tensors.items()]
    write_shards(directory, "model", pairs, shard_bytes=shard_bytes, on_bytes=sizes.append)
    return sizes


@pytest.mark.parametrize(("shard_bytes", "files"), [(1000, 1), (48, 2), (32, 3), (16, 5), (1, 5)])
def test_tensors_come_back_from_however_many_shards(
    tmp_path: Path, shard_bytes: int, files: int
) -> None:
    tensors = numbered(5)
    sizes = write(tmp_path, tensors, shard_bytes)
    assert len(sizes) == len(stored_files(tmp_path, "model")) == files
    assert sum(sizes) == 5 * 16
    with open_tensors(stored_files(tmp_path, "model")) as back:
        assert {name: tensor.shape for name, tensor in back.items()} == dict.fromkeys(tensors, (4,))
        assert all(torch.equal(back[name].load(), tensors[name]) for name in tensors)


@pytest.mark.parametrize("dtype", list(DTYPES.values()))
def test_every_kind_of_number_is_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1, 1]]).to(dtype)
    write(tmp_path, {"x": values}, 1000)
    with open_tensors([tmp_path / "model.safetensors"]) as back:
        assert back["x"].dtype == dtype
        assert back["x"].num_bytes == values.numel() * values.element_size()
        assert torch.equal(back["x"].load(), values)


def test_writing_never_holds_more_than_a_shard(tmp_path: Path) -> None:
    alive = most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def load() -> Tensor:
        nonlocal alive, most
        values = torch.zeros(4)
        weakref.finalize(values, gone)
        alive += 1
        most = max(most, alive)
        return values

    tensors = [(f"t{index}", StoredTensor((4,), torch.float32, load)) for index in range(12)]
    write_shards(tmp_path, "model", tensors, shard_bytes=48)
    assert most == 3


def test_a_name_in_two_files_is_refused(tmp_path: Path) -> None:
    for file in ("a", "b"):
        save_file({"x": torch.zeros(1)}, tmp_path / f"{file}.safetensors")
    with (
        pytest.raises(ValueError, match=r"b\.safetensors holds x a second time"),
        open_tensors(sorted(tmp_path.iterdir())),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "is not an index"),
        ("[]", "is not an index"),
        ('{"weight_map": 3}', "is not an index"),
        ('{"weight_map": {"x": {}}}', "is not an index"),
        ('{"weight_map": {"x": "../x.safetensors"}}', "not a file beside"),
        ('{"weight_map": {"x": ".."}}', "not a file beside"),
        ('{"weight_map": {"x": 3}}', "not a file beside"),
        ('{"weight_map": {"x": "gone.safetensors"}}', "lacks gone"),
    ],
)
def test_a_bad_index_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        indexed_files(index)


def test_the_index_is_the_one_hugging_face_writes(tmp_path: Path) -> None:
    write(tmp_path, numbered(3), 32)
    document = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert document == {
        "metadata": {"total_size": 48},
        "weight_map": {
            "t0": "model-00001-of-00002.safetensors",
            "t1": "model-00001-of-00002.safetensors",
            "t2": "model-00002-of-00002.safetensors",
        },
    }
