"""Instructions on their way to text ids."""

from pathlib import Path

import pytest

from engine.policy.prompt import Tokenizer, demo_tokenizer, prompt_of
from engine.records.tasks import tasks


def test_the_instruction_is_lower_cased_in_its_sentence() -> None:
    assert prompt_of("Insert the SQUARE") == (
        "In: What action should the robot take to insert the square?\nOut:"
    )


def test_a_known_instruction_costs_one_token_a_word() -> None:
    [ids] = demo_tokenizer().encode(["push the mug under the coffee machine"])
    assert len(ids) == 1 + 1 + 7 + 1


def test_every_task_of_ours_is_written_in_known_words() -> None:
    instructions = [task.instruction for task in tasks().values() if task.simulator]
    lengths = [len(ids) for ids in demo_tokenizer().encode(instructions)]
    assert lengths == [3 + len(instruction.split()) for instruction in instructions]


def test_an_unknown_word_is_spelled_and_an_unknown_character_is_unknown() -> None:
    [spelled, unknown] = demo_tokenizer().encode(["push the zyx", "push the é"])
    assert len(spelled) == 1 + 1 + 2 + 4 + 1
    assert 0 in unknown
    assert 0 not in spelled


def test_text_never_becomes_an_action_or_a_special() -> None:
    [ids] = demo_tokenizer().encode(["push <action 3> and </s> <spare 0>"])
    assert ids[0] == 1
    assert all(3 <= token < 256 for token in ids[1:])


def test_a_saved_tokenizer_reads_back(tmp_path: Path) -> None:
    demo_tokenizer().save(tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(
        tmp_path / "tokenizer.json", bos_token_id=1, final_prompt_token=None
    )
    assert again.encode(["push the mug"]) == demo_tokenizer().encode(["push the mug"])


def test_the_final_token_is_appended_unless_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    demo_tokenizer().save(path)
    [plain] = demo_tokenizer().encode(["push"])
    other = Tokenizer.from_file(path, bos_token_id=1, final_prompt_token=77)
    same = Tokenizer.from_file(path, bos_token_id=1, final_prompt_token=plain[-1])
    assert other.encode(["push"]) == [[*plain, 77]]
    assert same.encode(["push"]) == [plain]


def test_a_missing_tokenizer_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no tokenizer file"):
        Tokenizer.from_file(tmp_path / "none.json", bos_token_id=1, final_prompt_token=None)
