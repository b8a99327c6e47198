"""P80. A JVM is the app, not PID 1: its tools find it, and SIGQUIT makes it tell what its threads do."""

import shutil

from harness import Skip, check, equal, scenario

TERM, QUIT = 15, 3
SLEEPER = """
public class Sleeper {
    public static void main(String[] args) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook ran")));
        System.out.println("ready " + ProcessHandle.current().pid());
        Thread.sleep(60000);
    }
}
"""


@scenario(modes=("pid1", "sub"), limit=60)
def p80_thread_dump_and_shutdown_hook(case):
    java = shutil.which("java")
    if not java or not shutil.which("javac"):
        raise Skip("no JDK here")
    source = case.path("Sleeper.java", SLEEPER)
    init = case.start([java, "-Xshare:auto", source], opts=["--clean-stop"])
    init.line("^ready [0-9]+$", timeout=40)
    check("ready 1\n" not in init.out, "the JVM is not PID 1")
    init.signal(QUIT)
    init.line("Full thread dump", timeout=20)
    init.line('^"main"', timeout=20)
    init.signal(TERM)
    init.line("^hook ran", timeout=20)
    equal(init.wait(20), 0, "143 after a clean stop is 0 with --clean-stop")
