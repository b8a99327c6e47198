"""Caddy, a program in Go: TERM is its gentle stop."""

from containers import BACKEND, NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

CONFIG = """{{
	admin off
	auto_https off
}}
http://127.0.0.1:{port} {{
	reverse_proxy /slow 127.0.0.1:{backend}
	respond / "ok
" 200
}}
"""


def caddy(case, options, user=None):
    folder = stage(case, tool("caddy"), "version")

    def command(port):
        config = case.path(f"Caddyfile{port}", CONFIG.format(port=port, backend=BACKEND))
        return [tool("caddy"), "run", "--config", config, "--adapter", "caddyfile"]

    home = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}
    return Server(case, command, options, user, home)


@scenario(limit=60)
def caddy_under_load(case):
    server = caddy(case, [])
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"]))


@scenario(limit=60)
def caddy_stop_signal(case):
    server = caddy(case, [], NOBODY)
    is_clean(*server.in_flight("bare"))
    is_clean(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", ["--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", ["--clean-stop"]))
