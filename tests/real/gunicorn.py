"""gunicorn: a master and its workers. TERM is gentle for both."""

from containers import NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

PROGRAM = """
import time

def app(environ, start_response):
    slow = environ["PATH_INFO"] == "/slow"
    if slow:
        time.sleep(0.7)
    body = b"slow ok\\n" if slow else b"ok\\n"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def gunicorn(case, options, user=None, workers=("-w", "2", "--threads", "16")):
    folder = stage(case, tool("gunicorn"), "--version")
    with open(folder + "/app.py", "w", encoding="ascii") as f:
        f.write(PROGRAM)

    def command(port):
        where = ["--chdir", folder, "-b", f"127.0.0.1:{port}"]
        return [tool("gunicorn"), *workers, *where, "app:app"]

    return Server(case, command, options, user)


@scenario(limit=60)
def gunicorn_under_load(case):
    server = gunicorn(case, [])
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"], NOBODY))


def stop_signals(server, slow):
    is_clean(*server.in_flight("bare", slow=slow))
    is_clean(*server.in_flight("shim", slow=slow))
    is_clean(*server.in_flight("shim", ["--scope", "child"], slow=slow))
    is_clean(*server.in_flight("shim+shell", ["--clean-stop"], slow=slow))
    is_clean(*server.in_flight("shim+shell", ["--clean-stop", "--scope", "child"], slow=slow))


@scenario(limit=60)
def gunicorn_scope(case):
    """Workers that hear TERM twice, from shim and from their master, still finish."""
    stop_signals(gunicorn(case, [], NOBODY), 12)


@scenario(limit=60)
def gunicorn_sync_workers(case):
    stop_signals(gunicorn(case, [], NOBODY, ["-w", "12"]), 8)
