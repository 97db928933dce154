"""Whatever becomes of a good file: refused with a named reason, or loaded and finite."""

import ast
import resource
import time
from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors.torch import load_file

from engine.gate.inspection import examine
from engine.gate.verdict import Kind, Verdict
from tests.engine.gate_mutations import (
    edits,
    is_finite_json,
    mutated,
    safetensors,
    texts,
    torch_files,
)

GIGABYTE = 2**20  # in the kilobytes that getrusage counts
SHARED_FOLDER = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def judged(name: str, data: bytes, folder: Path) -> Verdict:
    """The verdict on a mutant; an accepted one is loaded by the library that will load it."""
    path = folder / name
    path.write_bytes(data)
    verdict, loadable = examine(path, folder)
    if not verdict.accepted:
        assert verdict.reason is not None
        assert verdict.sentence.startswith(name)
        assert verdict.sentence.isprintable()
    elif loadable is not None:
        tensors = load_file(loadable)
        assert tensors.keys() == verdict.tensors.keys()
        assert all(bool(tensor.float().isfinite().all()) for tensor in tensors.values())
    elif verdict.kind == Kind.JSON:
        assert is_finite_json(data)
    elif verdict.kind == Kind.CONFIG:
        assert all(isinstance(s, ast.Assign | ast.Expr) for s in ast.parse(data).body)
    return verdict


@given(file=st.integers(0, 2**16), other=st.integers(0, 2**16), changes=edits())
@settings(max_examples=50, suppress_health_check=SHARED_FOLDER)
def test_a_mutated_text_is_refused_or_still_data(
    file: int, other: int, changes: list, tmp_path: Path
) -> None:
    names = sorted(texts())
    name, source = names[file % len(names)], names[other % len(names)]
    judged(name, mutated(texts()[name], texts()[source], changes), tmp_path)


@given(file=st.integers(0, 2**16), other=st.integers(0, 2**16), changes=edits())
@settings(max_examples=100, suppress_health_check=SHARED_FOLDER)
def test_mutated_weights_are_refused_or_finite(
    file: int, other: int, changes: list, tmp_path: Path
) -> None:
    names = sorted(safetensors())
    name, source = names[file % len(names)], names[other % len(names)]
    judged(name, mutated(safetensors()[name], safetensors()[source], changes), tmp_path)


@pytest.mark.soak
def test_two_thousand_mutations_are_refused_or_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**texts(), **safetensors(), **torch_files()}
    # Half of the mutants are of torch files and safetensors each, the texts come on top.
    names = [*texts(), *safetensors(), *sorted(torch_files()) * 4]
    counts: Counter[str] = Counter()
    seconds: list[tuple[float, str, str]] = []

    @given(file=st.integers(0, 2**16), other=st.integers(0, 2**16), changes=edits())
    @settings(max_examples=2_000, suppress_health_check=SHARED_FOLDER, database=None)
    def judge(file: int, other: int, changes: list) -> None:
        name, source = names[file % len(names)], names[other % len(names)]
        data = mutated(files[name], files[source], changes)
        started = time.perf_counter()
        verdict = judged(name, data, tmp_path)
        seconds.append((time.perf_counter() - started, name, str(verdict.reason)))
        counts[str(verdict.reason or "accepted")] += 1

    judge()
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with capsys.disabled():
        print(f"\n{sum(counts.values())} mutants: {dict(counts.most_common())}")  # noqa: T201
        print(f"slowest {sorted(seconds)[-3:]}, largest child {child / 1024:.0f} MB")  # noqa: T201
    assert len(seconds) >= 2_000
    assert child <= GIGABYTE
    assert counts["accepted"] > 0
    assert counts["crashed"] == 0
