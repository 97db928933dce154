"""The Data page's panel: exchange, the label log, what keeps the data, and use from scripts."""

from typing import TYPE_CHECKING

import gradio as gr

from app.data.snippets import snippets
from app.episodes.exports import DATASETS, LOGS
from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel
from engine.records.tasks import TASKS

if TYPE_CHECKING:
    from app.studio import Studio


def data_panel(studio: "Studio") -> gr.HTML:
    """Everything of the page; a public studio gets neither paths nor what changes its data."""
    data, gallery = studio.data, studio.gallery
    exchange, audit, keeping = data.exchange, data.audit, data.keeping

    def choices(_: Question) -> Answer:
        return {"facets": gallery.facets(), "views": list(gallery.views())}

    def kept(_: Question) -> Answer:
        return {
            "space": keeping.space(),
            "backups": keeping.backups(),
            "sync": keeping.sync_status(),
        }

    return live_panel(
        "mountData",
        public=studio.public,
        datasets=list(DATASETS),
        logs={name: list(formats) for name, formats in LOGS.items()},
        tasks=list(TASKS),
        snippets=snippets("{address}"),
        server_functions=[
            server_function("choices", choices),
            server_function("kept", kept),
            server_function("follow", lambda q: {"errands": data.follow(q)}),
            server_function("cancel", data.cancel),
            server_function("part", data.part),
            server_function("take_part", data.take_part),
            server_function("plan", exchange.plan),
            server_function("export", exchange.export),
            server_function("examine", exchange.examine),
            server_function("log", audit.log),
            server_function("undo", audit.undo),
            server_function("clean_up", keeping.clean_up),
            server_function("back_up", keeping.back_up),
            server_function("check_backup", keeping.check_backup),
            server_function("take_backup", keeping.take_backup),
            server_function("restore", keeping.restore),
            server_function("remove_backup", keeping.remove_backup),
            server_function("verify", lambda _: keeping.verify()),
            server_function("sync", keeping.sync),
            server_function("restore_parts", keeping.restore_parts),
        ],
    )
