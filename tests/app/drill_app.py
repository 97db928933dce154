"""An app without pages, for the drills: a studio whose supervisor starts drill workers.

`python drill_app.py DATA_DIR CONFIG NUMBER`: sees to it that runs `run-0` … are queued, resumes by
hand what was given up, says "ready", then one line of JSON for each line it reads: the states, the
worker processes that it watches, its own memory in bytes. A line of JSON is the config of another
run.
"""

import json
import shutil
import sys
from pathlib import Path

import psutil

from app.runs.patience import Patience
from app.runs.supervisor import Supervisor
from app.studio import Studio
from storage.workspace import open_workspace

WORKER = (sys.executable, str(Path(__file__).with_name("drill_worker.py")))


def main() -> None:
    workspace = open_workspace(Path(sys.argv[1]))
    studio = Studio(workspace, demo=workspace.root / "no demo", supervise=False)
    runs = studio.cabinet.runs
    supervisor = Supervisor(studio.cabinet, command=WORKER, patience=Patience(resume=0.05))
    for number in range(int(sys.argv[3])):
        directory = workspace.runs / f"run-{number}"
        if not (directory / "config.json").exists():  # or the app was killed while it made it
            shutil.rmtree(directory, ignore_errors=True)
            supervisor.submit(directory.name, "drill", json.loads(sys.argv[2]))
    supervisor.begin(every_seconds=0.05)
    by_hand = 0
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    seen: dict[str, int] = {}
    for line in sys.stdin:
        if line == "close\n":
            break
        if line.startswith("{"):
            supervisor.submit("another", "drill", json.loads(line))
        for run in runs.unfinished():
            if run.state == "lost":
                supervisor.control(run.id, "run")
                by_hand += 1
        for run in runs.all():  # as the Train page does
            seen[run.id] = studio.train.training.curves(run.id, after=seen.get(run.id, 0)).next
        states = {run.id: [run.state, run.error, run.seconds_left] for run in runs.all()}
        memory = psutil.Process().memory_info().rss
        watched = [worker.pid for worker in list(supervisor._workers.values())]
        answer = {"states": states, "watched": watched, "memory": memory, "by_hand": by_hand}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    supervisor.close()
    studio.close()


if __name__ == "__main__":
    main()
