"""A server in Java: the JVM ends with 143 when its hooks have run, and QUIT asks it for its threads."""

import subprocess

from containers import NOBODY, Server, is_clean, lost_some, stage, was_killed
from harness import check, equal, eventually, scenario, tool
from load import is_serving

PROGRAM = """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] words) throws Exception {
        var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(words[0]));
        var server = HttpServer.create(address, 64);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            var slow = exchange.getRequestURI().getPath().equals("/slow");
            if (slow) {
                try { Thread.sleep(700); } catch (InterruptedException e) { }
            }
            var body = (slow ? "slow ok\\n" : "ok\\n").getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        if (words.length > 1)
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                server.stop(1); // takes all of it when idle
                System.out.println("hook: stopped");
            }));
    }
}
"""
TO_0 = ["--expect-exit", "143"]


def java(case, options, user=None, hook=()):
    folder = stage(case, tool("java"), "-version")
    source = case.path("Server.java", PROGRAM)
    subprocess.run([tool("javac"), "-d", folder, source], check=True)

    def command(port):
        light = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m"]
        return [tool("java"), *light, "-cp", folder, "Server", str(port), *hook]

    return Server(case, command, options, user)


@scenario(limit=90)
def java_under_load(case):
    server = java(case, TO_0)
    lost_some(*server.under_load("bare"))
    was_killed(server.under_load("shell")[0])
    is_clean(*server.under_load("shim"))
    is_clean(*server.under_load("shim+shell", [], NOBODY))


def hook_ran(box, load, status=0):
    is_clean(box, load, status)
    check("hook: stopped" in box.text(), f"{box.setup}: the shutdown hook did not run")


@scenario(limit=90)
def java_shutdown_hook(case):
    server = java(case, [], NOBODY, ["hook"])
    hook_ran(*server.in_flight("bare"), status=143)
    hook_ran(*server.in_flight("shim", ["--clean-stop"]))
    hook_ran(*server.in_flight("shim+shell", TO_0))


@scenario(limit=90)
def java_thread_dump(case):
    """QUIT passes through, but a shell in front dies of it, and the server is ended after that."""
    server = java(case, TO_0, NOBODY, ["hook"])
    for options in ([], ["--scope", "child"]):
        box = server.start("shim", options)
        box.signal("QUIT")
        eventually(lambda: "Full thread dump" in box.text(), "QUIT dumps the threads")
        check(is_serving(box.port), "it serves on")
        equal(box.stop(), 0)
    box = server.start("shim+shell")
    box.signal("QUIT")
    equal(box.init.wait(), 131)
    check("Full thread dump" in box.text() and "hook: stopped" in box.text(), box.tail())
    print(f"QUIT behind a shell: the container ends with 131: {box.words()}")
