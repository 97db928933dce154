"""Where checkpoints come from: the card "Add a checkpoint" of the Models page.

Each way is a kind that the script shows a form for; what was begun is followed below the forms.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.web.calls import Answer, Question, server_function
from storage.downloads.official import PARTS, TASKS

if TYPE_CHECKING:
    from app.studio import Studio

# What to call the parts of the release.
WORDS = {
    "policy": "policy, before WMPO",
    "policy_128": "policy, WMPO on 128 real episodes",
    "policy_1280": "policy, WMPO on 1,280 real episodes",
    "world_model": "world model, of 128 real episodes",
    "world_model_1280": "world model, of 1,280 real episodes",
    "reward_model": "reward model",
    "autoencoder": "autoencoder",
}


def source_kinds(studio: "Studio") -> list[str]:
    """The ways that are open to whoever uses this studio; a public one takes no paths."""
    return [] if studio.public else ["folder", "download"]


def source_options() -> dict[str, list[list[str]]]:
    """What the forms offer: (value, words) of the released tasks and of what belongs to each."""
    tasks = [[task, task.replace("_", " ")] for task in TASKS]
    return {"tasks": tasks, "parts": [[part, WORDS[part]] for part in PARTS]}


def source_functions(studio: "Studio") -> list[Callable[[Question], Answer]]:
    """What the forms call."""

    def follow(_: Question) -> Answer:
        return {"adoptions": studio.adoptions(), "downloads": studio.downloads()}

    def control(question: Question) -> Answer:
        return studio.control_run(str(question["run"]), question["control"])

    return [
        server_function("adopt_checkpoint", lambda q: {"adoptions": studio.adopt_checkpoint(q)}),
        server_function("control_adoption", control),
        server_function("plan_download", studio.plan_download),
        server_function("start_download", lambda q: studio.start_download(q["key"])),
        server_function("cancel_download", lambda q: studio.cancel_download(q["key"])),
        server_function("added", follow),
    ]
