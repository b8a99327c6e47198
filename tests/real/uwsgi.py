"""uWSGI: TERM reloads it unless it is told otherwise, and neither TERM nor INT waits for requests."""

from containers import NOBODY, SHORT, Server, is_clean, lost_some, stage, was_killed
from harness import equal, scenario, tool

PROGRAM = """
import time

def application(environ, start_response):
    slow = environ["PATH_INFO"] == "/slow"
    if slow:
        time.sleep(0.7)
    body = b"slow ok\\n" if slow else b"ok\\n"
    headers = [("Content-Length", str(len(body))), ("Connection", "close")]
    start_response("200 OK", headers)
    return [body]
"""
CHILD = ["--scope", "child"]
GENTLY = ["--die-on-term", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]


def uwsgi(case, options, user=None, extra=()):
    folder = stage(case, tool("uwsgi"), "--version")
    with open(folder + "/app.py", "w", encoding="ascii") as f:
        f.write(PROGRAM)

    def command(port):
        words = ["--plugins", "python3", "--http-socket", f"127.0.0.1:{port}", "--master"]
        words += ["--processes", "2", "--threads", "12", "--need-app", "--disable-logging"]
        return [tool("uwsgi"), *words, "--chdir", folder, "--module", "app", *extra]

    return Server(case, command, options, user)


@scenario(limit=60)
def uwsgi_under_load(case):
    server = uwsgi(case, CHILD, extra=GENTLY)
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"], NOBODY))


@scenario(limit=60)
def uwsgi_scope(case):
    """Its workers die of TERM, and only the master knows how to let them finish."""
    server = uwsgi(case, [], NOBODY, GENTLY)
    is_clean(*server.in_flight("bare"))
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", CHILD))
    is_clean(*server.in_flight("shim+shell", [*CHILD, "--clean-stop"]))


@scenario(limit=60)
def uwsgi_as_it_comes(case):
    """TERM means reload: it has to be killed. INT is a stop, and cuts what is in flight."""
    server = uwsgi(case, [], NOBODY)
    box, load = server.in_flight("shim", grace=SHORT)
    lost_some(box, load)
    equal(box.status, 137)
    lost_some(*server.in_flight("shim", ["--stop-signal", "INT"]))
