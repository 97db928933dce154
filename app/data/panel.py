"""The Data page's panel: exchange, the label log, what keeps the data, and use from scripts."""

import gradio as gr

from app.data.data import Data
from app.data.recordings import offered
from app.data.snippets import snippets
from app.episodes.exports import DATASETS, LOGS
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer
from engine.records.tasks import tasks


def data_panel(room: Data) -> gr.HTML:
    """Everything of the page; a visitor of a Space gets neither paths nor what changes the data."""
    exchange, audit, keeping, gallery = room.exchange, room.audit, room.keeping, room.gallery

    def choices() -> Answer:
        return {"facets": gallery.facets(), "views": list(gallery.views())}

    def kept() -> Answer:
        return {
            "space": keeping.space(),
            "backups": keeping.backups(),
            "sync": keeping.sync_status(),
        }

    return live_panel(
        "mountData",
        public=room.access.guest,
        datasets=list(DATASETS),
        logs={name: list(formats) for name, formats in LOGS.items()},
        recordings=offered(tasks()),
        snippets=snippets("{address}"),
        server_functions=serve(
            room.access,
            "data",
            choices=choices,
            kept=kept,
            follow=room.errands.follow,
            cancel=room.errands.cancel,
            part=room.part,
            take_part=room.handover.take,
            plan=exchange.plan,
            export=exchange.export,
            examine=exchange.examine,
            look=room.recordings.look,
            intend=room.recordings.intend,
            take=room.recordings.take,
            taken=room.recordings.taken,
            log=audit.log,
            undo=audit.undo,
            clean_up=keeping.clean_up,
            back_up=keeping.back_up,
            check_backup=keeping.check_backup,
            take_backup=keeping.take_backup,
            restore=keeping.restore,
            remove_backup=keeping.remove_backup,
            verify=keeping.verify,
            sync=keeping.sync,
            restore_parts=keeping.restore_parts,
        ),
    )
