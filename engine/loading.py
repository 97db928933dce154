"""A checkpoint directory to the model it names. Imports only what the role needs."""

from pathlib import Path

from engine.checkpoint import load_weights, read_config
from engine.protocols import Policy

ROLES = ("policy", "world_model", "reward_model", "autoencoder")


def role_of(directory: Path) -> str:
    """The role a checkpoint's config names.

    Raises:
        ValueError: not a whole checkpoint, or an unknown role.
    """
    role = read_config(directory).get("role")
    if role not in ROLES:
        raise ValueError(f"{directory.name} has the role {role!r}; known: {', '.join(ROLES)}")
    return str(role)


def _expect(directory: Path, role: str) -> dict[str, object]:
    config = read_config(directory)
    if config.get("role") != role:
        raise ValueError(f"{directory.name} is a {config.get('role')}, not a {role}")
    return {name: value for name, value in config.items() if name != "role"}


def load_policy(directory: Path) -> Policy:
    """The policy of a checkpoint, in evaluation mode, on the CPU.

    Raises:
        ValueError: incomplete, changed, of another role, or weights that do not fit.
    """
    from engine.policy.model import OpenVLAPolicy, PolicyConfig

    config = PolicyConfig.from_dict(_expect(directory, "policy"))
    policy = OpenVLAPolicy(config)
    load_weights(directory, policy)
    return policy.eval()
