"""nginx: TERM is its fast stop, QUIT the gentle one. The master tells its workers, so that child and group
are the same to it."""

from containers import (
    BACKEND,
    NOBODY,
    QUIT,
    Server,
    is_clean,
    is_gentle_under_load,
    is_gentle_with_quit,
    lost_some,
    stage,
)
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


def nginx(case, options, user=None):
    folder = stage(case, tool("nginx"), "-v")

    def command(port):
        owner = "" if user else "user root;"
        text = CONFIG.format(dir=folder, port=port, user=owner, backend=BACKEND)
        return [tool("nginx"), "-e", "stderr", "-c", case.path(f"nginx{port}.conf", text)]

    return Server(case, command, options, user)


@scenario(limit=60)
def nginx_under_load(case):
    is_gentle_under_load(nginx(case, QUIT))


@scenario(limit=60)
def nginx_stop_signal(case):
    is_gentle_with_quit(nginx(case, [], NOBODY))


@scenario(limit=60)
def nginx_image_with_stopsignal(case):
    """STOPSIGNAL SIGQUIT, as in nginx's own image: shim has to know that this is a stop."""
    server = nginx(case, [])
    lost_some(*server.under_load("shim", stop_signal="QUIT"))
    is_clean(*server.under_load("shim", ["--stop-on", "QUIT,TERM,INT"], stop_signal="QUIT"))
    is_clean(*server.under_load("shim", ["--stop-on", "QUIT", *QUIT], stop_signal="QUIT"))
