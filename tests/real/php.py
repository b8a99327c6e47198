"""PHP-FPM behind an nginx of its own: TERM drops requests, QUIT is the gentle stop."""

import subprocess

from containers import (
    NOBODY,
    QUIT,
    Server,
    is_clean,
    is_gentle_under_load,
    is_gentle_with_quit,
    lost_some,
    stage,
)
from harness import Skip, scenario, tool

PROGRAM = """<?php
if (strncmp($_SERVER["REQUEST_URI"], "/slow", 5) == 0) {
    for ($end = microtime(true) + 0.7; microtime(true) < $end;)
        usleep(5000); // a signal ends one of these early
    echo "slow ok\\n";
} else {
    echo "ok\\n";
}
"""
CONFIG = """[global]
error_log = /dev/stderr
{control}
[www]
{owner}
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 20
catch_workers_output = yes
"""
FRONT = """daemon off; master_process off; pid {dir}/pid{port}; error_log stderr crit; user root;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
server {{ listen 127.0.0.1:{front}; location / {{ fastcgi_pass 127.0.0.1:{port};
fastcgi_param SCRIPT_FILENAME {script}; fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param REQUEST_URI $request_uri; }} }} }}
"""


def php(case, options, user=None, control="process_control_timeout = 5s"):
    fpm = next((name for name in (f"php-fpm8.{n}" for n in range(9, -1, -1)) if has(name)), None)
    if not fpm:
        raise Skip("needs php-fpm")
    folder = stage(case, tool(fpm), "-v")
    script = case.path("index.php", PROGRAM)

    def command(port):
        text = FRONT.format(dir=folder, front=port + 1, port=port, script=script)
        front = case.path(f"front{port}.conf", text)
        subprocess.Popen([tool("nginx"), "-e", "stderr", "-c", front])
        owner = "" if user else "user = www-data\ngroup = www-data"
        text = CONFIG.format(port=port, owner=owner, control=control)
        config = case.path(f"fpm{port}.conf", text)
        return [tool(fpm), "-n", "-F", "-y", config]

    return Server(case, command, options, user, front=1)


def has(name):
    try:
        return tool(name)
    except Skip:
        return None


@scenario(limit=60)
def php_under_load(case):
    is_gentle_under_load(php(case, QUIT))


@scenario(limit=60)
def php_stop_signal(case):
    """The master is in a session of its own: behind a shell no signal to the group reaches it."""
    is_gentle_with_quit(php(case, [], NOBODY))


@scenario(limit=60)
def php_without_timeout(case):
    """process_control_timeout is 0 unless it is set, and then QUIT is as bad as TERM."""
    server = php(case, QUIT, NOBODY, "")
    lost_some(*server.in_flight("shim"))
    is_clean(*server.under_load("shim"))
