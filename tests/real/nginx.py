"""nginx: TERM is its fast stop, QUIT the gentle one. The master tells its workers, so that child and group
are the same to it."""

from containers import BACKEND, NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

CONFIG = """daemon off; worker_processes 2; pid {dir}/pid{port}; error_log stderr notice;
{user}
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
server {{ listen 127.0.0.1:{port};
location / {{ return 200 "ok\\n"; }}
location /slow {{ proxy_pass http://127.0.0.1:{backend}; }} }} }}
"""
QUIT = ["--stop-signal", "QUIT"]


def nginx(case, options, user=None):
    folder = stage(case, tool("nginx"), "-v")

    def command(port):
        owner = "" if user else "user root;"
        text = CONFIG.format(dir=folder, port=port, user=owner, backend=BACKEND)
        return [tool("nginx"), "-e", "stderr", "-c", case.path(f"nginx{port}.conf", text)]

    return Server(case, command, options, user)


@scenario(limit=60)
def nginx_under_load(case):
    server = nginx(case, QUIT)
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"]))


@scenario(limit=60)
def nginx_stop_signal(case):
    server = nginx(case, [], NOBODY)
    lost_some(*server.in_flight("bare"))
    lost_some(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim", QUIT))
    is_clean(*server.in_flight("shim", [*QUIT, "--scope", "child"]))
    is_clean(*server.in_flight("shim+shell", [*QUIT, "--clean-stop"]))
    is_clean(*server.in_flight("shim+shell", [*QUIT, "--clean-stop", "--scope", "child"]))


@scenario(limit=60)
def nginx_image_with_stopsignal(case):
    """STOPSIGNAL SIGQUIT, as in nginx's own image: shim has to know that this is a stop."""
    server = nginx(case, [])
    lost_some(*server.under_load("shim", stop_signal="QUIT"))
    is_clean(*server.under_load("shim", ["--stop-on", "QUIT,TERM,INT"], stop_signal="QUIT"))
    is_clean(*server.under_load("shim", ["--stop-on", "QUIT", *QUIT], stop_signal="QUIT"))
