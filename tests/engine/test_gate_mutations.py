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


def mutants(files: dict[str, bytes]) -> st.SearchStrategy[tuple[str, bytes]]:
    """Names of good files with what edits make of them."""
    names = st.sampled_from(sorted(files))
    return st.builds(
        lambda name, other, changes: (name, mutated(files[name], files[other], changes)),
        names, names, edits(),
    )  # fmt: skip


@given(mutant=mutants(texts()))
@settings(max_examples=90, suppress_health_check=SHARED_FOLDER)
def test_a_mutated_text_is_refused_or_still_data(mutant: tuple[str, bytes], tmp_path: Path) -> None:
    judged(*mutant, tmp_path)


@given(mutant=mutants(safetensors()))
@settings(max_examples=60, suppress_health_check=SHARED_FOLDER)
def test_mutated_weights_are_refused_or_finite(mutant: tuple[str, bytes], tmp_path: Path) -> None:
    judged(*mutant, tmp_path)


@pytest.mark.soak
def test_two_thousand_mutations_are_refused_or_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    seconds: list[tuple[float, str]] = []

    @given(mutant=st.one_of(mutants(texts()), mutants(safetensors()), mutants(torch_files())))
    @settings(max_examples=2_000, suppress_health_check=SHARED_FOLDER, database=None)
    def judge(mutant: tuple[str, bytes]) -> None:
        started = time.perf_counter()
        verdict = judged(*mutant, tmp_path)
        outcome = f"{verdict.reason or 'accepted'} {Path(mutant[0]).suffix}"
        seconds.append((time.perf_counter() - started, outcome))
        counts[outcome] += 1

    judge()
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    refused = [(taken, outcome) for taken, outcome in seconds if "accepted" not in outcome]
    with capsys.disabled():
        print(f"\n{len(seconds)} mutants: {dict(counts.most_common())}")  # noqa: T201
        print(f"slowest refusals {sorted(refused)[-3:]}, all {max(seconds)}")  # noqa: T201
        print(f"largest child {child / 1024:.0f} MB")  # noqa: T201
    assert len(seconds) >= 2_000
    assert child <= GIGABYTE
    assert len(refused) < len(seconds)
    assert not any(outcome.startswith("crashed") for _, outcome in seconds)
