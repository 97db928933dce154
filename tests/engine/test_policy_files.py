"""Policy checkpoints on disk."""

from pathlib import Path

import pytest
import torch

from engine.checkpoints.checkpoint import write_json
from engine.config import Config
from engine.policy.config import PolicyConfig, paper_policy_config, tiny_policy_config
from engine.policy.files import read_policy, write_policy
from engine.records.manifest import whole_directory
from tests.engine.test_policy_model import frames, generators, tiny


def test_a_written_policy_acts_the_same_when_read_back(tmp_path: Path) -> None:
    policy = tiny(placeholder="learned")
    with whole_directory(tmp_path / "policy") as directory:
        write_policy(directory, policy, {"data": "none"})
    again = read_policy(tmp_path / "policy")
    chunks = [
        each.act(frames(2), ["push", "pull the mug"], generators(range(2)), 1.0)
        for each in (policy, again)
    ]
    assert torch.equal(chunks[0].tokens, chunks[1].tokens)
    assert again.normalization == policy.normalization


def test_half_the_bytes_read_back_as_float32(tmp_path: Path) -> None:
    policy = tiny()
    with whole_directory(tmp_path / "policy") as directory:
        write_policy(directory, policy, {}, half=True)
    again = read_policy(tmp_path / "policy")
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    torch.testing.assert_close(again.state_dict(), policy.state_dict(), atol=1e-3, rtol=1e-3)


def test_a_checkpoint_of_another_role_is_refused(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "other") as directory:
        write_json(directory / "config.json", {"role": "reward_model"})
    with pytest.raises(ValueError, match="role 'reward_model', not a policy"):
        read_policy(tmp_path / "other")


def test_a_policy_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "policy") as directory:
        write_policy(directory, tiny(), {})
        (directory / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="no tokenizer file"):
        read_policy(tmp_path / "policy")


@pytest.mark.parametrize("config", [tiny_policy_config(), paper_policy_config()])
def test_a_config_survives_json(config: Config) -> None:
    assert PolicyConfig.from_dict(config.to_dict()) == config


def test_trunks_of_different_grids_are_refused() -> None:
    config = tiny_policy_config()
    with pytest.raises(ValueError, match="same number of patches"):
        config.replace(siglip=config.siglip.replace(patch_size=32))


def test_a_vocabulary_larger_than_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="exceeds"):
        tiny_policy_config().replace(vocab_without_padding=32000)
