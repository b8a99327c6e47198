"""Stack traces of programs that really throw, folded by --json-logs: Python, Java, Node, Go, and a C program in Go's
manner. Those that the machine has not got are skipped."""

import json
import os
import shutil
import time

from harness import Skip, check, equal, eventually, proc_children, scenario

QUIT = 3
ONE = ("pid1",)


def errors(case, app, **how):
    """(first line, number of lines, message) of each record on stderr."""
    init = case.run(app, opts=["--json-logs"], timeout=50, **how)
    found = [json.loads(line) for line in init.err.splitlines()]
    return [(r["message"].split("\n")[0], r.get("lines", 1), r["message"]) for r in found]


def check_traces(got, heads, ends):
    """Records that begin and end so, each line counted."""
    equal(len(got), len(heads), [g[:2] for g in got])
    for (first, count, message), head, end in zip(got, heads, ends):
        check(first.startswith(head), first)
        equal(count, message.count("\n") + 1, first)
        check(message.endswith(end), message)


@scenario(modes=ONE, limit=60)
def python(case):
    path = case.path("app.py", """
import sys, threading
def inner(): raise ValueError("inner")
def outer():
    try: inner()
    except ValueError as e: raise KeyError("outer") from e
print("before", file=sys.stderr)
t = threading.Thread(target=inner, name="worker"); t.start(); t.join()
print("between", file=sys.stderr)
try: outer()
except KeyError: int("x")
""")
    got = errors(case, ["/usr/bin/python3", path])
    check_traces(
        got,
        ["before", "Exception in thread worker", "between", "Traceback (most recent"],
        ["before", "ValueError: inner", "between", "literal for int() with base 10: 'x'"],
    )
    check("During handling" in got[3][2] and "direct cause" in got[3][2])
    got = errors(case, ["/usr/bin/python3", "-c", "f(\n\n\nprint"])
    check_traces(got, ['  File "<string>", line 1'], ["SyntaxError: '(' was never closed"])


JAVA = """
public class Thrower {
    static void inner() throws Exception { throw new java.io.IOException("inner"); }
    static void outer() {
        try { inner(); } catch (Exception e) {
            RuntimeException r = new RuntimeException("outer", e);
            r.addSuppressed(new IllegalStateException("hidden"));
            throw r;
        }
    }
    public static void main(String[] args) {
        System.err.println("before");
        new Exception("printed").printStackTrace();
        System.err.println("between");
        outer();
    }
}
"""


@scenario(modes=ONE, limit=90)
def java(case):
    program = shutil.which("java")
    if not program or not shutil.which("javac"):
        raise Skip("no JDK here")
    got = errors(case, [program, "-Xshare:auto", case.path("Thrower.java", JAVA)])
    check_traces(
        got,
        ["before", "java.lang.Exception: printed", "between", 'Exception in thread "main"'],
        ["before", ")", "between", ")"],
    )
    check("\nCaused by: java.io.IOException: inner\n\tat " in got[3][2], got[3])
    check("\n\tSuppressed: java.lang.Ill" in got[3][2])


@scenario(modes=ONE, limit=60)
def node(case):
    program = shutil.which("node")
    if not program:
        raise Skip("no Node here")
    path = case.path("app.js", """
console.error("before");
console.error(new TypeError("printed"));
console.error("between");
function f() {
  const e = new Error("boom\\nsecond line", { cause: new Error("inner") });
  e.code = 'E_BOOM';
  throw e;
}
f();
""")
    got = errors(case, [program, path])
    check(got[3][2].split("\n")[-1].startswith("Node.js v"), got[3][2])
    check_traces(
        got, ["before", "TypeError: printed", "between", path + ":"], ["", "", "between", ""]
    )
    check("second line\n    at f (" in got[3][2] and "E_BOOM" in got[3][2], got[3][2])
    got = errors(case, [program, "-e", "require('./nope')"])
    check_traces(got[-1:], ["node:internal"], [""])
    check("MODULE_NOT_FOUND" in got[-1][2])


@scenario(modes=ONE, limit=60)
def go(case):
    """A Go program that waits, and is made to tell of its goroutines."""
    program = shutil.which("podman")
    if not program:
        raise Skip("no Go program here (podman)")
    home = case.path("home")
    os.mkdir(home)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "XDG_RUNTIME_DIR": home}
    socket = case.path("socket")
    init = case.start(
        [program, "--root", home + "/s", "--runroot", home + "/r", "--tmpdir", home + "/t",
         "system", "service", "-t", "0", "unix://" + socket],
        opts=["--json-logs", "--scope", "child"], env=env)
    eventually(lambda: os.path.exists(socket), "it serves", 30)
    time.sleep(0.2)
    check(proc_children(init.pid))
    init.signal(QUIT)
    init.wait(30)
    found = [json.loads(line) for line in init.err.splitlines()]
    dumps = [r for r in found if "goroutine " in r["message"]]
    equal(len(dumps), 1, [r["message"][:60] for r in found])
    check(dumps[0]["message"].startswith("SIGQUIT: quit\nPC="), dumps[0]["message"][:60])
    check(dumps[0]["lines"] > 50)


GO_LIKE = r"""
#include <stdio.h>
#include <stdlib.h>
static void dump(int n) {
	fprintf(stderr, "goroutine %d [running]:\n", n);
	fprintf(stderr, "main.(*Server).handle(0xc000010000, {0x1, 0x2})\n");
	fprintf(stderr, "\t/app/main.go:%d +0x1d\n", n);
	fprintf(stderr, "created by main.main in goroutine 1\n\t/app/main.go:9 +0x25\n");
}
int main(void) {
	fprintf(stderr, "2026/11/26 12:00:00 serving\n");
	fprintf(stderr, "panic: runtime error: invalid memory address or nil pointer dereference\n");
	fprintf(stderr, "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45]\n\n");
	dump(7);
	fprintf(stderr, "\n");
	dump(18);
	fprintf(stderr, "exit status 2\n");
	fprintf(stderr, "2026/11/26 12:00:01 the next one\n");
	exit(2);
}
"""


@scenario(modes=ONE, limit=60)
def go_like(case):
    """Line by line, as the Go runtime writes."""
    source, program = case.path("go.c", GO_LIKE), case.path("go")
    equal(os.system(f"gcc -o {program} {source}"), 0)
    got = errors(case, [program])
    check_traces(
        got,
        ["2026/11/26 12:00:00", "panic: runtime error", "2026/11/26 12:00:01"],
        ["serving", "exit status 2", "the next one"],
    )
