"""Steps of a dream asked of the studio, and models whose noise can be seen."""

from typing import Any

from app.studio import Studio
from app.web.questions import ask
from engine.device import Placement
from tests.app.conftest import CHUNK, load_fake
from tests.fakes import AddingWorldModel, ConstantPolicy


def load_noisy(directory: Any, placement: Placement | None = None) -> Any:
    """Fakes whose noise can be seen: actions and brightness depend on the draws."""
    match directory.name:
        case "base":
            return ConstantPolicy(0.02, chunk_size=CHUNK, action_dim=4, spread=0.1)
        case "world":
            return AddingWorldModel(chunk_size=CHUNK, action_dim=4, side=64, noise=0.01)
        case _:
            return load_fake(directory)


def act(studio: Studio, dream: str, action: str = "chunk", after: int = 0) -> dict[str, Any]:
    return ask(studio.imagine.dreams.act, {"dream": dream, "action": action, "after": after})


def tree(studio: Studio, dream: str) -> dict[int, dict[str, Any]]:
    return {node["id"]: node for node in ask(studio.imagine.dreams.tree, {"dream": dream})["nodes"]}
