"""The gate refuses every hostile file with the reason's name, and runs none of them."""

from pathlib import Path

import pytest

from engine.gate import converter
from engine.gate.inspection import inspect
from engine.gate.verdict import Limits, Reason, RefusedError
from tests.engine import gate_corpus, gate_pickles
from tests.engine.gate_corpus import Corpus

LIMITS = Limits().to_text()
NOWHERE = Path("nowhere")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a file that ran would leave behind."""
    return tmp_path_factory.mktemp("ran") / "ran"


def refused_for(name: str, corpus: Corpus, folder: Path) -> Reason | None:
    content, _ = corpus[name]
    path = folder / name
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    verdict = inspect(path)
    assert not verdict.accepted
    assert verdict.sentence.startswith(name), verdict.sentence
    assert verdict.sentence.isprintable()
    return verdict.reason


@pytest.mark.parametrize("name", gate_corpus.headers())
def test_a_wrong_header_is_refused(name: str, tmp_path: Path) -> None:
    corpus = gate_corpus.headers()
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]


@pytest.mark.parametrize("name", gate_corpus.numbers())
def test_wrong_numbers_are_refused(name: str, tmp_path: Path) -> None:
    corpus = gate_corpus.numbers()
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]


@pytest.mark.parametrize("name", gate_pickles.pickles(NOWHERE))
def test_a_pickle_that_asks_for_more_is_refused(name: str, ran: Path, tmp_path: Path) -> None:
    corpus = gate_pickles.pickles(ran)
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]
    assert not ran.exists()


@pytest.mark.parametrize("name", gate_corpus.texts(NOWHERE))
def test_a_text_that_is_not_data_is_refused(name: str, ran: Path, tmp_path: Path) -> None:
    corpus = gate_corpus.texts(ran)
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]
    assert not ran.exists()


@pytest.mark.parametrize("name", gate_corpus.strangers())
def test_what_is_not_the_file_it_says_is_refused(name: str, tmp_path: Path) -> None:
    corpus = gate_corpus.strangers()
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]


@pytest.mark.parametrize("name", gate_pickles.trees())
def test_a_tree_that_is_no_state_dict_is_refused(name: str, tmp_path: Path) -> None:
    content, reason = gate_pickles.trees()[name]
    assert isinstance(content, bytes)
    (tmp_path / name).write_bytes(content)
    # In this process: these files are ours, and what the sandbox adds is tested elsewhere.
    with pytest.raises(RefusedError) as refusal:
        converter.main([str(tmp_path / name), str(tmp_path / "out.safetensors"), LIMITS])
    assert refusal.value.reason == reason
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.slow  # each starts a process
@pytest.mark.parametrize("name", ["stride-0.pth", "length-lie.pth", "hashes.pth"])
def test_what_only_torch_can_tell_is_refused(name: str, tmp_path: Path) -> None:
    corpus = gate_pickles.tensors()
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]


@pytest.mark.soak
@pytest.mark.parametrize("name", [*gate_pickles.tensors(), *gate_pickles.trees()])
def test_all_of_them_are_refused_in_the_sandbox(name: str, tmp_path: Path) -> None:
    corpus = {**gate_pickles.tensors(), **gate_pickles.trees()}
    assert refused_for(name, corpus, tmp_path) == corpus[name][1]
