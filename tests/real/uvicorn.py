"""uvicorn: one process, TERM is gentle; with --workers a parent that only knows how to end them."""

from containers import NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

PROGRAM = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("http only")
    slow = scope["path"] == "/slow"
    if slow:
        await asyncio.sleep(0.7)
    body = b"slow ok\\n" if slow else b"ok\\n"
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})
"""


def uvicorn(case, options, user=None, workers=()):
    folder = stage(case, tool("uvicorn"), "--version")
    with open(folder + "/app.py", "w", encoding="ascii") as f:
        f.write(PROGRAM)

    def command(port):
        quiet = ["--no-access-log", "--app-dir", folder]
        return [tool("uvicorn"), *workers, *quiet, "--port", str(port), "app:app"]

    return Server(case, command, options, user)


@scenario(limit=60)
def uvicorn_under_load(case):
    server = uvicorn(case, [])
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"], NOBODY))


@scenario(limit=60)
def uvicorn_workers(case):
    server = uvicorn(case, [], NOBODY, ["--workers", "2"])
    is_clean(*server.in_flight("bare"))
    is_clean(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", ["--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", ["--clean-stop"]))
