"""`python -m engine.gate FILE…`: what it prints and returns."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.gate.__main__ import main
from engine.records.manifest import file_sha256
from tests.engine.gate_files import floats, one_tensor


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.safetensors"
    path.write_bytes(one_tensor(floats(1.0, 2.0)))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad\nname.json"
    path.write_text('{"a": 1, "a": 2}')
    return path


def test_one_line_a_file_and_a_status(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(good), str(bad)]) == 1
    assert capsys.readouterr().out == (
        f"accepted {file_sha256(good)} safetensors {good}\n"
        "refused duplicate-key: bad?name.json has the key 'a' twice\n"
    )


def test_the_status_is_zero_when_all_are_accepted(good: Path) -> None:
    assert main([str(good), str(good)]) == 0


@pytest.mark.slow  # a fresh interpreter
def test_the_command_imports_no_torch(good: Path) -> None:
    script = (
        "import sys; from engine.gate.__main__ import main; main(sys.argv[1:]); "
        "print('torch' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, good], capture_output=True, text=True, check=True
    )
    assert finished.stdout.splitlines()[1:] == ["False"]
