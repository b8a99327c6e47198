"""Celery: the worker's children die of TERM, and only the parent knows how to let them finish."""

import os
import subprocess

from containers import NOBODY, Container, stage, was_killed
from harness import check, equal, eventually, read, scenario, tool

PROGRAM = """
import os, time
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.worker_prefetch_multiplier = 1

def note(word):
    with open(os.environ["NOTES"], "a") as f:
        f.write(word + "\\n")

@app.task
def work(number):
    note("began")
    time.sleep(1)
    note("ended")
"""
CHILD = ["--scope", "child", "--clean-stop"]


class Celery:
    def __init__(self, case):
        self.case = case
        self.folder = stage(case, tool("celery"), "--version")
        self.port = 20000
        with open(f"{self.folder}/tasks.py", "w", encoding="ascii") as f:
            f.write(PROGRAM)

    def stop_at_work(self, setup, options=(), grace=12):
        """(Container, tasks that began, those of them that did not end)."""
        self.port += 1
        notes = self.case.path(f"notes{self.port}", "", 0o666)
        broker = f"redis://127.0.0.1:{self.port}/0"
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        subprocess.Popen([tool("redis-server"), *words], stdout=subprocess.DEVNULL)
        env = {"BROKER": broker, "NOTES": notes, "PYTHONPATH": self.folder, "HOME": self.folder}
        lean = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO", "-c", "4"]
        words = [tool("celery"), "-A", "tasks", "worker", *lean]
        box = Container(self.case, setup, words, options, NOBODY, env, f"app{self.port}", grace)
        box.wait_ready(lambda: " ready." in box.text(), "the worker is ready")
        send = "import tasks\nfor i in range(40): tasks.work.delay(i)"
        environment = {"PATH": "/usr/bin:/bin", **env}
        subprocess.run(["/usr/bin/python3", "-c", send], env=environment, check=True)
        eventually(lambda: read(notes).count("ended") >= 4, "tasks are done")
        eventually(lambda: read(notes).count("began") >= 6, "tasks are being done")
        box.stop()
        began, ended = (read(notes).count(word) for word in ("began", "ended"))
        print(f"{' '.join(options)} {box.report()}; {began} tasks began, {began - ended} of them lost")
        return box, began, began - ended


@scenario(limit=120)
def celery_tasks(case):
    """Celery 5.2 hangs in its warm shutdown now and then, with an init or without: so it is not the
    status that counts, but what became of the tasks."""
    celery = Celery(case)
    equal(celery.stop_at_work("bare")[2], 0)
    was_killed(celery.stop_at_work("shell", grace=4)[0])
    check(celery.stop_at_work("shim")[2] > 0, "no task was lost, so this shows nothing")
    for setup in ("shim", "shim+shell"):
        box, _, lost = celery.stop_at_work(setup, CHILD)
        check("Warm shutdown" in box.text(), f"{setup}: the parent was not told")
        equal(lost, 0, f"{setup}: lost tasks")
