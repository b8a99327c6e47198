"""HAProxy: TERM cuts, USR1 lets connections end."""

from containers import BACKEND, NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

CONFIG = """global
  log stderr format raw local0 notice
  hard-stop-after 5s
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend in
  bind 127.0.0.1:{port}
  use_backend slow if {{ path /slow }}
  default_backend fast
backend slow
  server one 127.0.0.1:{backend}
backend fast
  http-request return status 200 content-type text/plain string "ok\\n"
"""
USR1 = ["--stop-signal", "USR1"]


def haproxy(case, options, user=None, mode="-db"):
    stage(case, tool("haproxy"), "-v")

    def command(port):
        config = case.path(f"haproxy{port}.cfg", CONFIG.format(port=port, backend=BACKEND))
        return [tool("haproxy"), *mode.split(), "-f", config]

    return Server(case, command, options, user)


@scenario(limit=60)
def haproxy_under_load(case):
    """TERM is not handled at all: as PID 1 the server does not hear it."""
    server = haproxy(case, USR1)
    was_killed(server.under_load("bare")[0])
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"]))


def stop_signals(server):
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", USR1))
    is_clean(*server.in_flight("shim", [*USR1, "--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", [*USR1, "--clean-stop"]))
    is_clean(*server.in_flight("shim+shell", [*USR1, "--clean-stop", "--scope", "child"]))


@scenario(limit=60)
def haproxy_stop_signal(case):
    stop_signals(haproxy(case, [], NOBODY))


@scenario(limit=60)
def haproxy_master(case):
    server = haproxy(case, [], NOBODY, "-W -db")
    lost_some(*server.in_flight("bare"))
    stop_signals(server)
