"""Apache: TERM cuts requests off, WINCH is the gentle stop."""

import os

from containers import BACKEND, NOBODY, SHORT, Server, is_clean, lost_some, stage, was_killed
from harness import equal, scenario, tool

CONFIG = """ServerRoot {dir}
ServerName localhost
PidFile {dir}/pid{port}
Listen 127.0.0.1:{port}
ErrorLog /dev/stderr
LogLevel notice
{owner}
LoadModule mpm_{mpm}_module /usr/lib/apache2/modules/mod_mpm_{mpm}.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
DocumentRoot {dir}
DirectoryIndex index.txt
ProxyPass /slow http://127.0.0.1:{backend}/slow
StartServers {servers}
"""
WINCH = ["--stop-signal", "WINCH"]


def apache(case, options, user=None, mpm="event"):
    folder = stage(case, tool("apache2"), "-v")
    with open(os.path.join(folder, "index.txt"), "w", encoding="ascii") as f:
        f.write("ok\n")

    def command(port):
        owner = "" if user else "User www-data\nGroup www-data"
        servers = 20 if mpm == "prefork" else 2
        facts = dict(dir=folder, port=port, owner=owner, mpm=mpm, backend=BACKEND, servers=servers)
        config = case.path(f"apache{port}.conf", CONFIG.format(**facts))
        return [tool("apache2"), "-f", config, "-DFOREGROUND"]

    return Server(case, command, options, user)


@scenario(limit=60)
def apache_under_load(case):
    server = apache(case, WINCH)
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"]))


@scenario(limit=90)
def apache_stop_signal(case):
    server = apache(case, [], NOBODY)
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", WINCH))
    is_clean(*server.in_flight("shim", [*WINCH, "--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", WINCH))
    # A shell ignores WINCH, and nobody else is told.
    box, _ = server.in_flight("shim+shell", [*WINCH, "--scope", "child"], grace=SHORT)
    equal(box.status, 137)


@scenario(limit=60)
def apache_prefork(case):
    """It sends TERM to its whole process group in the end, so that the shell dies of that."""
    server = apache(case, [], NOBODY, "prefork")
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", WINCH))
    is_clean(*server.in_flight("shim", [*WINCH, "--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", WINCH), status=143)
