"""What jobs call what they leave in a run: its documents and its stored episodes."""

DISAGREEMENTS = "disagreements"  # of train_reward: where the models and a person differ
GROUPS = "groups"  # of rejudge: an iteration's groups, before and after


def episode_name(task: str, start_id: int, seed: int) -> str:
    """The id, in a run of evaluate, of the stored episode of a start."""
    return f"{task}-evaluate-{start_id}-{seed}"
