"""Node: without a handler TERM ends it at once, or as PID 1 never."""

from containers import NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import scenario, tool

PROGRAM = """
const http = require("http");
const server = http.createServer((request, response) => {
    if (request.url === "/slow")
        setTimeout(() => response.end("slow ok\\n"), 700);
    else
        response.end("ok\\n");
});
server.listen(Number(process.argv[2]), "127.0.0.1");
if (process.argv[3] === "handler")
    process.on("SIGTERM", () => server.close(() => process.exit(0)));
"""


def node(case, options, user=None, handler=""):
    stage(case, tool("node"), "--version")
    program = case.path("server.js", PROGRAM)

    def command(port):
        return [tool("node"), program, str(port), handler]

    return Server(case, command, options, user)


@scenario(limit=60)
def node_without_handler(case):
    server = node(case, [])
    was_killed(server.under_load("bare")[0])
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim", ["--clean-stop"]))
    is_clean(*server.under_load("shim+shell", ["--clean-stop"], NOBODY))
    lost_some(*server.in_flight("shim"))


@scenario(limit=60)
def node_with_handler(case):
    server = node(case, [], NOBODY, "handler")
    lost_some(*server.under_load("bare"))
    is_clean(*server.under_load("shim"))
    is_clean(*server.in_flight("shim"))
    is_clean(*server.in_flight("shim+shell", ["--clean-stop"]))
