"""Gates of world models: what the newest run measured, or what was measured of a shipped one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.jobs.gates.report import BOUNDS, DOCUMENT
from engine.runs.run_directory import read_documents
from storage.cabinet import Cabinet


class Gates:
    """Finds the gates of a world model and a judge by their hashes.

    Args:
        shipped: a folder of documents as runs of `gates` leave them.
    """

    def __init__(self, cabinet: Cabinet, shipped: Path) -> None:
        self._cabinet, self._shipped = cabinet, shipped

    def of(self, world_model: str, reward_model: str) -> dict[str, Any] | None:
        """The document of these two checkpoints; None where nobody measured them."""
        hashes = {"world_model": world_model, "reward_model": reward_model}
        runs = self._cabinet.runs
        for run in runs.all():
            if run.job == "gates":
                found = read_documents(runs.directory(run.id), DOCUMENT).get(DOCUMENT)
                if found and found["checkpoints"] == hashes:
                    return found
        for path in sorted(self._shipped.glob("*.json")):
            document: dict[str, Any] = json.loads(path.read_text())
            if document["checkpoints"] == hashes:
                return document
        return None


def gate_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a gate: {title, on, unit, value, interval or null, count, of, bound, above, passed}.

    `count` is null for what is no share.
    """
    rows = []
    for gate in document["gates"]:
        measured = document["measured"][gate["on"]][gate["name"]]
        known = "low" in measured and measured["value"] is not None
        rows.append(
            {
                "title": gate["title"],
                "on": gate["on"],
                "unit": BOUNDS[gate["name"]].unit,
                "value": gate["value"],
                "interval": [measured["low"], measured["high"]] if known else None,
                "count": measured.get("count"),
                "of": measured.get("of"),
                "bound": gate["bound"],
                "above": gate["above"],
                "passed": gate["passed"],
            }
        )
    return rows
