"""What trains the released models on which cards: `python -m engine.memory`."""

from engine.device import DeviceMemory
from engine.memory.cards import plan_cards
from engine.policy.config import paper_policy_config
from engine.reward.classifier import RewardConfig
from engine.world_model.model import WorldModelConfig

CARDS, SIZES = (1, 2, 4, 8), (24, 48, 80, 141)
ROWS, HORIZON, SLICE = 512, 256, 32  # an iteration of the paper
DRIVER = 1 << 29


def main() -> None:
    """A line for each number of cards of each size."""
    models = (paper_policy_config(), WorldModelConfig.paper(), RewardConfig.paper())
    for size in SIZES:
        total = size << 30
        name = f"a {size} GB card"
        device = DeviceMemory(kind="cuda", name=name, total=total, free=total - DRIVER)
        for cards in CARDS:
            found = plan_cards(
                models, cards=cards, device=device, rows=ROWS, horizon=HORIZON, slice_rows=SLICE
            )
            print(f"{cards} x {size} GB: {found.sentence}")


if __name__ == "__main__":
    main()
