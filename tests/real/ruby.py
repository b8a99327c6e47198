"""Ruby's Puma and Unicorn: to Unicorn TERM means at once, and QUIT gently."""

from containers import NOBODY, QUIT, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

PROGRAM = """
run(lambda do |env|
  slow = env["PATH_INFO"] == "/slow"
  sleep 0.7 if slow
  body = slow ? "slow ok\\n" : "ok\\n"
  [200, { "Content-Length" => body.size.to_s, "Content-Type" => "text/plain" }, [body]]
end)
"""


def puma(case, options, user=None, extra=()):
    folder = stage(case, tool("puma"), "--version")
    rack = case.path("config.ru", PROGRAM)

    def command(port):
        where = ["--dir", folder, "-b", f"tcp://127.0.0.1:{port}", "-t", "16:16"]
        return [tool("puma"), *where, *extra, rack]

    return Server(case, command, options, user, {"HOME": folder})


def unicorn(case, options, user=None):
    folder = stage(case, tool("unicorn"), "--version")
    rack = case.path("config.ru", PROGRAM)
    config = case.path("unicorn.rb", f'worker_processes 16\nworking_directory "{folder}"\n')

    def command(port):
        return [tool("unicorn"), "-E", "none", "-c", config, "-l", f"127.0.0.1:{port}", rack]

    return Server(case, command, options, user, {"HOME": folder})


@scenario(limit=60)
def puma_under_load(case):
    """It ends by the signal that it got, which as PID 1 it cannot: 1."""
    server = puma(case, ["--clean-stop"], NOBODY, ["-w", "2"])
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell"))


@scenario(limit=60)
def puma_scope(case):
    server = puma(case, ["--clean-stop"], NOBODY, ["-w", "2"])
    is_clean(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", ["--scope", "child"]))
    is_clean(*server.in_flight("shim+shell"))


@scenario(limit=60)
def unicorn_under_load(case):
    server = unicorn(case, QUIT)
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"], NOBODY))


@scenario(limit=60)
def unicorn_stop_signal(case):
    server = unicorn(case, [], NOBODY)
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", QUIT))
    is_clean(*server.in_flight("shim", [*QUIT, "--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", [*QUIT, "--clean-stop"]))
