"""The store holds checked weights whole or not at all, whoever is killed when."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from engine.gate.store import Store
from engine.manifest import file_sha256
from tests.engine.gate_files import floats, one_tensor

ADMIT = "import sys; from pathlib import Path; from engine.gate.store import Store; " + (
    "print(Store(Path(sys.argv[1])).admit(Path(sys.argv[2])))"
)
# Longer than an admission takes on a loaded machine, so that some are killed and some are not.
LONGEST_SECONDS = 6.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def weights(path: Path, *values: float) -> Path:
    path.write_bytes(one_tensor(floats(*values)))
    return path


def contents(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


def test_weights_are_kept_under_their_hash(store: Store, tmp_path: Path) -> None:
    source = weights(tmp_path / "a.safetensors", 1.0, 2.0)
    stored = store.admit(source)
    assert stored == store.root / f"{file_sha256(source)}.safetensors"
    assert stored.read_bytes() == source.read_bytes()
    assert store.find(file_sha256(source)) == stored
    assert contents(store) == [".lock", stored.name]


def test_the_same_weights_are_kept_once(store: Store, tmp_path: Path) -> None:
    one = store.admit(weights(tmp_path / "a.safetensors", 1.0))
    before = one.stat().st_ino
    assert store.admit(weights(tmp_path / "b.safetensors", 1.0)) == one
    assert one.stat().st_ino == before
    assert store.admit(weights(tmp_path / "c.safetensors", 2.0)) != one


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("nan.safetensors", one_tensor(floats(float("nan"))), "not-finite: nan.safetensors has"),
        ("config.json", b"{}", "config.json holds no weights"),
        ("evil.pth", b"cos\nsystem\n(S'id'\ntR.", "unsafe-pickle: evil.pth asks Python for"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    name: str, data: bytes, words: str, store: Store, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=words):
        store.admit(tmp_path / name)
    assert contents(store) == [".lock"]


def test_stored_weights_are_still_held_against_what_a_model_expects(
    store: Store, tmp_path: Path
) -> None:
    source = weights(tmp_path / "a.safetensors", 1.0)
    store.admit(source)
    with pytest.raises(ValueError, match="wrong-tensors"):
        store.admit(source, expected={"w": ({"F32"}, (2,))})


@pytest.mark.slow  # a process that imports torch
def test_a_torch_file_is_converted_once(store: Store, tmp_path: Path) -> None:
    tensors = {"w": torch.arange(6.0).reshape(2, 3).mT, "b": torch.ones(2).bfloat16()}
    torch.save(tensors, tmp_path / "a.pth")
    stored = store.admit(tmp_path / "a.pth")
    assert stored.name == f"{file_sha256(stored)}.safetensors"
    loaded = load_file(stored)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    before = stored.stat().st_ino
    assert store.find(file_sha256(tmp_path / "a.pth")) == stored
    assert store.admit(tmp_path / "a.pth") == stored
    assert stored.stat().st_ino == before


def test_what_a_killed_admission_left_is_removed_by_the_next(store: Store, tmp_path: Path) -> None:
    left = store.root / ".partial-killed"
    left.mkdir(parents=True)
    (left / "complete").write_bytes(b"half")
    stored = store.admit(weights(tmp_path / "a.safetensors", 1.0))
    assert contents(store) == [".lock", stored.name]
    assert not left.exists()


def test_the_room_of_an_admission_under_way_is_left_alone(store: Store, tmp_path: Path) -> None:
    with store._room() as room:
        (room / "complete").write_bytes(b"half")
        stored = store.admit(weights(tmp_path / "a.safetensors", 1.0))
        assert contents(store) == [".lock", stored.name, "complete"]


# Killed at random points.


def assert_consistent(store: Store) -> None:
    for path in store.root.glob("*.safetensors"):
        assert path.name == f"{file_sha256(path)}.safetensors"
    for source in (store.root / "sources").glob("*"):
        assert (store.root / f"{source.read_text()}.safetensors").is_file()


def kill_after(seconds: float, store: Store, path: Path, *, converter_only: bool) -> bool:
    """Whether an admission, or the converter it started, was killed before it was done."""
    admission = subprocess.Popen(
        [sys.executable, "-c", ADMIT, store.root, path],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        admission.wait(seconds)
    except subprocess.TimeoutExpired:
        victims = psutil.Process(admission.pid).children() if converter_only else [admission]
        for victim in victims:
            victim.kill()
    return admission.wait() != 0


def kills(count: int, store: Store, path: Path) -> int:
    """How many of `count` admissions were killed; after each the store is consistent."""
    draw = random.Random(0)
    killed = 0
    for number in range(count):
        killed += kill_after(
            draw.uniform(0.0, LONGEST_SECONDS), store, path, converter_only=number % 2 == 0
        )
        assert_consistent(store)
        for stored in [*store.root.glob("*.safetensors"), *(store.root / "sources").glob("*")]:
            stored.unlink()
    return killed


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A torch file whose conversion and copies take long enough to be hit."""
    path = tmp_path / "large.pth"
    torch.save({f"w{i}": torch.full((1_000_000,), float(i)) for i in range(25)}, path)
    yield path


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_admission_does_no_harm(store: Store, large: Path) -> None:
    kills(1, store, large)
    stored = store.admit(large)
    assert file_sha256(stored) == stored.stem
    assert contents(store) == sorted([".lock", stored.name, file_sha256(large)])


@pytest.mark.soak
def test_fifty_killed_admissions_do_no_harm(store: Store, large: Path) -> None:
    killed = kills(50, store, large)
    stored = store.admit(large)
    assert contents(store) == sorted([".lock", stored.name, file_sha256(large)])
    assert load_file(stored)["w7"].eq(7.0).all()
    assert killed >= 25
