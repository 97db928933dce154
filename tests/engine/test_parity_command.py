"""`python -m engine.parity DIR`: what it finds, prints and returns."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.parity.__main__ import CHECKS, find_vectors, main

GOLDEN = Path(__file__).parents[1] / "golden"
KINDS = (
    "wm_transformer scheduler rollout vae vla reward_videomae reward_success grpo image_pipeline "
    "dataset_clips"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for suffix in (".json", ".safetensors"):
        shutil.copyfile(
            GOLDEN / f"dataset_clips_a{suffix}", tmp_path / f"dataset_clips_other{suffix}"
        )
    return tmp_path


def test_every_kind_of_vector_has_a_check() -> None:
    assert set(CHECKS) == set(KINDS.split())


def test_a_folder_within_tolerance_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok    dataset_clips_other  start_indices  error 0.00e+00")
    assert lines[-1] == "4 items, 0 failed"


def test_a_changed_number_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "dataset_clips_other.safetensors"
    tensors = load_file(path)
    tensors["clips.action"] = tensors["clips.action"] + 0.5
    save_file(tensors, path)
    assert main([str(folder)]) == 1
    assert "FAIL  dataset_clips_other  clips.action" in capsys.readouterr().out


def test_a_missing_tensor_fails_with_its_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "dataset_clips_other.safetensors"
    tensors = load_file(path)
    del tensors["stats.q01"]
    save_file(tensors, path)
    assert main([str(folder)]) == 1
    assert "FAIL  dataset_clips_other: lacks 'stats.q01'" in capsys.readouterr().out


def test_an_unknown_kind_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "magic_a.safetensors")
    (tmp_path / "magic_a.json").write_text("{}")
    assert main([str(tmp_path)]) == 1
    assert "FAIL  magic_a: unknown kind 'magic'; known: dataset_clips" in capsys.readouterr().out


@pytest.mark.parametrize("damaged", [".json", ".safetensors"])
def test_an_unreadable_file_fails_in_one_line(
    folder: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / f"dataset_clips_other{damaged}").write_text("{nonsense")
    assert main([str(folder)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL  dataset_clips_other: ")
    assert last == "0 items, 1 failed"


def test_an_empty_folder_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "holds no reference vectors" in capsys.readouterr().out


def test_a_missing_folder_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "there is no folder" in capsys.readouterr().out


def test_a_json_without_tensors_is_no_vector(folder: Path) -> None:
    (folder / "notes_a.json").write_text(json.dumps({}))
    assert [path.stem for path in find_vectors(folder)] == ["dataset_clips_other"]
