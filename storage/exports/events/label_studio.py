"""Labels as Label Studio's JSON: a task is an episode, an annotation is a label.

Label Studio keeps a task's `meta` and the ids of results, so what comes back from it is exact, and
annotations that were made there are new labels. An annotation of ours that was changed there is
refused: labels are immutable.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

EVENTS = "wmpo_events"  # in a task's `meta`: its events, whole
# What a project needs to show the tasks.
LABELING_CONFIG = """<View>
  <Text name="episode" value="$episode"/>
  <Choices name="outcome" toName="episode" choice="single">
    <Choice value="success"/><Choice value="fail"/><Choice value="unsure"/>
  </Choices>
  <Choices name="dream" toName="episode" choice="single">
    <Choice value="broke"/><Choice value="ok"/>
  </Choices>
  <TextArea name="failure_mode" toName="episode" maxSubmissions="1"/>
  <TextArea name="note" toName="episode" maxSubmissions="1"/>
</View>"""
CHOICES, TEXTS = ("outcome", "dream"), ("failure_mode", "note")
DREAM = {True: "broke", False: "ok"}


def to_label_studio(rows: list[dict[str, Any]]) -> bytes:
    """Tasks in the order of their first event."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row["episode_id"], []).append(row)
    return json.dumps(
        [
            {
                "data": {"episode": episode},
                "meta": {EVENTS: events},
                "annotations": [{"result": found} for event in events if (found := _result(event))],
            }
            for episode, events in tasks.items()
        ],
        ensure_ascii=False,
    ).encode()


def from_label_studio(data: bytes) -> Iterator[tuple[str, Any]]:
    """(place, plain values of an event, or the `ValueError` that says what is wrong).

    Events of ours come in the order of their places in the log, whichever task they are in.
    """
    tasks = json.loads(data)
    if not isinstance(tasks, list):
        raise ValueError("it must be a list of tasks")
    if any(isinstance(task, dict) and "annotation_id" in task for task in tasks):
        raise ValueError("choose JSON, not JSON-MIN, when you export from Label Studio")
    kept, made = [], []
    for number, task in enumerate(tasks, start=1):
        place = f"task {number}"
        try:
            events = (task.get("meta") or {}).get(EVENTS, [])
            known = {event["event_id"]: event for event in events}
            kept += [(f"{place}, event {at}", event) for at, event in enumerate(events, start=1)]
            for at, annotation in enumerate(task.get("annotations", []), start=1):
                where = f"{place}, annotation {at}"
                made += [(where, found) for found in _read(annotation, known, task["data"])]
        except (AttributeError, KeyError, TypeError, IndexError) as error:
            made.append((place, ValueError(f"{error} is not as Label Studio writes it")))
    kept.sort(key=lambda item: item[1]["seq"] if type(item[1].get("seq")) is int else 0)
    yield from [*kept, *made]


def _result(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = {"outcome": event["outcome"], "dream": DREAM.get(event["dream_broke"])}
    said |= {"failure_mode": event["failure_mode"], "note": event["note"]}
    return [
        {
            "id": f"{event['event_id']}.{name}",
            "from_name": name,
            "to_name": "episode",
            "type": "choices" if name in CHOICES else "textarea",
            "value": {"choices" if name in CHOICES else "text": [value]},
        }
        for name, value in said.items()
        if value
    ]


def _read(
    annotation: Mapping[str, Any], known: Mapping[str, Any], data: Mapping[str, Any]
) -> list[Any]:
    """The label of an annotation made in Label Studio, or what is wrong with it; nothing for one
    of ours, for one that was cancelled, and for one of controls that are not ours."""
    if annotation.get("was_cancelled"):
        return []
    results = [one for one in annotation["result"] if one.get("from_name") in (*CHOICES, *TEXTS)]
    ours = {str(result.get("id", "")).rpartition(".")[0] for result in results} & set(known)
    try:
        said = _said(results)
    except ValueError as error:
        return [error]
    if ours:
        event = known[ours.pop()]
        if said == _said(_result(event)):
            return []
        changed = f"label {event['event_id']} was changed, but labels are immutable: add another"
        return [ValueError(changed)]
    return [_label(annotation, said, data["episode"])] if said else []


def _label(annotation: Mapping[str, Any], said: Mapping[str, str], episode: Any) -> dict[str, Any]:
    made, changed = annotation["created_at"], annotation.get("updated_at")
    try:
        at = datetime.fromisoformat(changed or made).timestamp()
    except (TypeError, ValueError):
        at, changed = datetime.fromisoformat(made).timestamp(), made
    lead = annotation.get("lead_time")
    return {
        "event_id": _event_id(annotation, changed if changed != made else None),
        "episode_id": episode,
        "outcome": said.get("outcome"),
        "dream_broke": said["dream"] == "broke" if "dream" in said else None,
        "end_step": None,
        "failure_mode": said.get("failure_mode"),
        "note": said.get("note", ""),
        "mode": "label-studio",
        "model_probability": None,
        "threshold": None,
        "checkpoint": None,
        "actor": _actor(annotation.get("completed_by")),
        "latency_ms": None if lead is None else round(1000 * lead),
        "supersedes": None,
        "seq": 0,
        "at": at,
        "hash": "",
    }


def _event_id(annotation: Mapping[str, Any], changed: str | None) -> str:
    """The same for the same annotation, however often it is exported; another once it was edited.

    Two projects count their annotations from 1 alike, so the number alone is no name.
    """
    name, project = annotation.get("unique_id"), annotation.get("project")
    if name is None:
        name = str(annotation["id"]) if project is None else f"{project}-{annotation['id']}"
    if changed is not None:
        name += f"-{hashlib.sha256(changed.encode()).hexdigest()[:8]}"
    return f"label-studio-{name}"


def _actor(person: Any) -> str:
    """Who made an annotation: by address where the export has one, else by number."""
    if isinstance(person, Mapping):
        person = person.get("email") or person.get("id")
    return "label-studio" if person is None else f"label-studio:{person}"[:64]


def _said(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What an annotation says, by control.

    Raises:
        ValueError: two choices where a label has one.
    """
    found: dict[str, list[str]] = {}
    for result in results:
        name = result["from_name"]
        values = result["value"]["choices" if name in CHOICES else "text"]
        found.setdefault(name, []).extend([values] if isinstance(values, str) else values)
    for name in CHOICES:
        if len(found.get(name, ())) > 1:
            raise ValueError(f"{name} has two choices ({', '.join(found[name])}): a label has one")
    return {name: "\n".join(values) for name, values in found.items() if values}
