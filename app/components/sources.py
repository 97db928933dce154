"""Where checkpoints come from: the card "Add a checkpoint" of the Models page.

Each way is a kind that the script shows a form for. A studio that can also fetch checkpoints (from
the Hub, from a URI, from an official folder) has its methods wired here, as further server
functions and kinds: `plan_download`, `start_download`, `downloads`, `cancel_download` and
`adopt_checkpoint`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.components.calls import Answer, Question, server_function

if TYPE_CHECKING:
    from app.studio import Studio


def source_kinds(studio: "Studio") -> list[str]:
    """The ways that are open to whoever uses this studio; a public one takes no paths."""
    return [] if studio.public else ["folder"]


def source_functions(studio: "Studio") -> list[Callable[[Question], Answer]]:
    """What the forms call."""

    def register(question: Question) -> Answer:
        return studio.register_checkpoint(str(question["name"]), str(question["directory"]))

    return [server_function("register", register)]
