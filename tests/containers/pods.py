"""Whole pods on runc, with everything that the kubelet does to them (kubelet.py): hooks, probes, restarts, the end."""

import os
import tempfile
import threading
import time

import kubelet
from docker_limits import EAT
from engines import wait_until
from harness import Skip, limit

NEEDS = ["runc"]
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
RESTRICTED = {"runAsUser": 1000660000 % 65536, "runAsGroup": 0, "allowPrivilegeEscalation": False,
              "capabilities": {"drop": ["ALL"]}}
APP = [(os.path.realpath(f"{TOP}/examples/app.py"), "/srv/app.py", "ro")]
# The image of somebody else's proxy: ready at once, and ends when it is told.
PROXY = """
import http.server, os, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")
    def do_POST(self):
        self.do_GET()
        print("told to quit", flush=True)
        threading.Timer(0.1, os._exit, (0,)).start()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", 15020), Handler).serve_forever()
"""
LIVE = ["/shim", "--check", "http://127.0.0.1:8086/livez"]


def container(name, args, command="/shim", **more):
    return {"name": name, "command": [command], "args": list(args), **more}


def http_probe(path, port=8086, period=0.2, failures=1, timeout=2):
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": period, "failureThreshold": failures,
            "timeoutSeconds": timeout}


def exec_probe(*command, period=0.3, failures=1, timeout=5):
    return {"exec": {"command": list(command)}, "periodSeconds": period, "failureThreshold": failures,
            "timeoutSeconds": timeout}


class running:
    """with running(env, containers..., spec) as pod: started, and nothing of it is left afterwards."""

    def __init__(self, env, *containers, backoff_s=60, mounts=APP, **spec):
        folder = tempfile.mkdtemp(dir=env.folder)
        os.chmod(folder, 0o755)
        pod = {"metadata": {"name": os.path.basename(folder)}, "spec": {"containers": list(containers), **spec}}
        self.pod = kubelet.Pod(env.runc, folder, pod, backoff_s, mounts)

    def __enter__(self):
        try:
            return self.pod.start()
        except BaseException:
            self.pod.discard()
            raise

    def __exit__(self, *_):
        self.pod.discard()


def says(pod, name, text):
    one = pod.by_name[name]
    wait_until(lambda: text in one.log(), lambda: f"{text!r} in {one.log()!r}")


def in_order(pod, *events):
    """Each (who, what) happened, and none before the one named ahead of it."""
    times = [pod.when(*event) for event in events]
    assert times == sorted(times), f"not in this order: {events}\n{pod.story()}"


def test_order_of_a_life(env):
    """Init containers, start, post-start hook, probes; pre-stop hook, TERM, drain, the app's end, the sandbox's."""
    app = container("app", ["--grace=15s", "--drain=1s:5s", "--health=8086", "--", "sh", "-c", "/app; true"],
                    startupProbe=http_probe("/startupz", failures=50), readinessProbe=http_probe("/readyz"),
                    livenessProbe=exec_probe(*LIVE),
                    lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo hi >/data/hook"]}},
                               "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.5; cat /data/first /data/hook"]}}},
                    volumeMounts=[{"name": "data", "mountPath": "/data"}])
    first = container("first", ["sh", "-c", "echo init >/data/first"], command="/bin/busybox",
                      volumeMounts=[{"name": "data", "mountPath": "/data"}])
    with running(env, app, initContainers=[first], volumes=[{"name": "data", "emptyDir": {}}],
                 securityContext=RESTRICTED, terminationGracePeriodSeconds=20) as pod:
        pod.wait_for("app", "ready")
        pod.stop()
        in_order(pod, ("sandbox", "up"), ("first", "started"), ("first", "ended with 0"), ("app", "started"),
                 ("app", "startup probe succeeded"), ("app", "ready"), ("pod", "deleted"),
                 ("app", "pre-stop hook begins"), ("app", "pre-stop hook done"), ("app", "SIGTERM"),
                 ("app", "not ready: 503 draining"), ("app", "ended with"), ("sandbox", "ended with 0"))
        in_order(pod, ("app", "started"), ("app", "post-start hook begins"), ("app", "post-start hook done"),
                 ("pod", "deleted"))
        assert pod.count("app", "liveness probe failed") == 0 and pod.count("app", "SIGKILL") == 0, pod.story()
        assert 1 <= pod.when("app", "ended") - pod.when("app", "SIGTERM") < 10, pod.story()
        log = pod.by_name["app"].log()
        assert log.startswith(f"app: ready as {RESTRICTED['runAsUser']}:0 "), log
        assert "handler done" in log and log.count("handler begins") == 1, log


def test_pre_stop_hook_eats_the_grace_period(env):
    """The hook is cut off at the end of the grace period; shim has the kubelet's last 2 s, and uses them well."""
    app = container("app", ["--grace=2s", "--", "/app", "stubborn"],
                    lifecycle={"preStop": {"exec": {"command": ["sleep", "30"]}}})
    with running(env, app, terminationGracePeriodSeconds=2) as pod:
        says(pod, "app", "app: ready")
        pod.stop()
        in_order(pod, ("app", "pre-stop hook begins"), ("app", "pre-stop hook failed"), ("app", "SIGTERM, 2.0 s left"),
                 ("app", "ended with 137"))
        assert pod.count("app", "SIGKILL") == 0, pod.story()
        assert "grace period spent" in pod.by_name["app"].lives[0][1], pod.story()


def test_reason_before_the_kubelet_kills(env):
    """An app that ignores TERM: with --grace the reason is written and PID 1 leaves first, without it is killed."""
    for args, is_killed, words in ((["--grace=3s"], 0, "grace period spent"), ([], 1, "stopping")):
        with running(env, container("app", [*args, "--", "/app", "stubborn"]), terminationGracePeriodSeconds=3) as pod:
            says(pod, "app", "app: ready")
            pod.stop()
            assert pod.count("app", "SIGKILL") == is_killed, pod.story()
            code, message = pod.by_name["app"].lives[0]
            assert code == 137 and words in message, pod.story()


def test_failed_liveness_probe(env):
    """An exec probe by shim --check fails: the container is stopped in order and started again, each with its message."""
    script = "i=0; trap 'echo bye; exit 6' TERM; touch /tmp/alive; sleep 1; rm /tmp/alive; while :; do sleep 0.1; done"
    app = container("app", ["--grace=10s", "--", "sh", "-c", script],
                    livenessProbe=exec_probe("/shim", "--check", "file:/tmp/alive"),
                    volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])
    with running(env, app, backoff_s=0.3, volumes=[{"name": "tmp"}], terminationGracePeriodSeconds=10) as pod:
        pod.wait_for("app", "ended with 6", 20, count=2)
        in_order(pod, ("app", "started (0)"), ("app", "liveness probe failed"), ("app", "SIGTERM"),
                 ("app", "ended with 6"), ("app", "back-off 0.3 s"), ("app", "started (1)"))
        assert "stop requested" in pod.by_name["app"].lives[0][1], pod.story()
        assert pod.by_name["app"].lives[1][1].count("\n") == 1, "a new life, a new file"
        pod.stop()


def test_startup_probe_holds_the_others_off(env):
    """--wait-for takes its time: /startupz fails meanwhile, liveness is not asked, readiness comes last."""
    app = container("app", ["--health=8086", "--wait-for=file:/tmp/go", "--", "/app"],
                    startupProbe=http_probe("/startupz", failures=100), readinessProbe=http_probe("/readyz"),
                    livenessProbe=exec_probe("false"), volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])
    with running(env, app, volumes=[{"name": "tmp"}], restartPolicy="Never") as pod:
        time.sleep(1)
        assert pod.count("app", "startup") == 0 and not pod.by_name["app"].is_ready, pod.story()
        open(f"{pod.volumes['tmp']}/go", "w").close()
        pod.wait_for("app", "startup probe succeeded")
        pod.wait_for("app", "liveness probe failed")  # the probe that always fails is asked from now on
        pod.wait(20)
        assert pod.by_name["app"].lives[0][0] == 7, pod.story()


def test_containers_share_the_network(env):
    """A sidecar that is waited for, whose connections are not the app's, and that --post-stop sends home."""
    if not os.path.exists("/usr/bin/python3"):
        raise Skip("needs /usr/bin/python3")
    client = "import http.client, time\nc = http.client.HTTPConnection('127.0.0.1', 15020)\nwhile True:\n" \
             "    c.request('GET', '/'); c.getresponse().read(); time.sleep(0.05)\n"
    containers = [
        container("proxy", ["-c", PROXY], command="/usr/bin/python3"),
        container("client", ["-c", client], command="/usr/bin/python3"),
        container("app", ["--grace=25s", "--drain=500ms:20s", "--wait-for=tcp://127.0.0.1:15020", "--post-stop",
                          "POST http://127.0.0.1:15020/quitquitquit", "--", "/usr/bin/python3", "/srv/app.py", "8080"],
                  readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 0.2}),
    ]
    with running(env, *containers, restartPolicy="Never", terminationGracePeriodSeconds=25) as pod:
        pod.wait_for("app", "ready")
        pod.by_name["app"].kill(25)  # a container alone, while the busy connection to the sidecar goes on
        pod.wait_for("proxy", "ended with 0")
        took = pod.when("app", "ended with 0") - pod.when("app", "SIGTERM")
        assert 0.5 <= took < 10, f"the sidecar's connections held up the drain\n{pod.story()}"
        assert "told to quit" in pod.by_name["proxy"].log(), pod.story()
        assert "all done" in pod.by_name["app"].log(), pod.by_name["app"].log()


def test_shared_process_namespace(env):
    """shareProcessNamespace: shim is not PID 1. The app behind a shell has its time, the neighbour is left alone."""
    for options in ([], ["-s"]):
        containers = [container("app", [*options, "--", "sh", "-c", "/app; true"]),
                      container("other", ["--", "/app"])]
        with running(env, *containers, restartPolicy="Never",
                     shareProcessNamespace=True, terminationGracePeriodSeconds=10) as pod:
            for name in pod.by_name:
                says(pod, name, "app: ready")
            pod.by_name["app"].kill(10)
            log = pod.by_name["app"].log()
            assert "handler done" in log and ("subreaper" in log) == (not options), log
            assert "handler" not in pod.by_name["other"].log()
            pod.stop()
            assert pod.by_name["other"].lives[0][0] == 7 and "handler done" in pod.by_name["other"].log(), pod.story()
            assert pod.count("sandbox", "ended with 0") == 1, pod.story()


def test_post_start_hook_that_fails(env):
    """The kubelet's own hook fails while the app starts: TERM, the handler, another life."""
    app = container("app", ["--", "/app"], lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.5; exit 3"]}}})
    with running(env, app, restartPolicy="Never", terminationGracePeriodSeconds=10) as pod:
        pod.wait(20)
        in_order(pod, ("app", "post-start hook begins"), ("app", "post-start hook failed: 3"), ("app", "SIGTERM"),
                 ("app", "ended with 7"))
        assert "handler done" in pod.by_name["app"].log(), pod.by_name["app"].log()


def test_termination_message_policies(env):
    """File: shim's line. FallbackToLogsOnError: the file wins; with --termination-log none it is the log's end."""
    script = "echo the database is gone >&2; exit 4"
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    containers = [
        container("file", ["--", "sh", "-c", script]),
        container("both", ["--", "sh", "-c", script], **fallback),
        container("log", ["--termination-log=none", "--", "sh", "-c", script], **fallback),
        container("success", ["--termination-on=failure", "--", "sh", "-c", "echo fine"], **fallback),
        container("elsewhere", ["--termination-log=/tmp/m", "--", "sh", "-c", script], terminationMessagePath="/tmp/m"),
    ]
    with running(env, *containers, restartPolicy="Never", securityContext=RESTRICTED) as pod:
        pod.wait(20)
        message = {c.name: c.lives[0][1] for c in pod.containers}
    for name in ("file", "both", "elsewhere"):
        assert message[name].startswith("sh exited 4 "), message
    assert message["log"] == "the database is gone\n" and message["success"] == "", message


@limit(60)
def test_back_off(env):
    """A container that ends at once: started again after 1, 2, 4 times the pause; every life has its own message."""
    app = container("app", ["-e", "9:0", "--", "sh", "-c", "echo own words >/dev/termination-log; exit 3"])
    with running(env, app, backoff_s=0.5, restartPolicy="OnFailure") as pod:
        pod.wait_for("app", "ended with 3", 30, count=4)
        for pause in ("0.5", "1", "2"):
            pod.wait_for("app", f"back-off {pause} s")
        pod.stop()
        for code, message in pod.by_name["app"].lives[:4]:
            assert code == 3 and message.startswith("own words\n") and message.count("\n") == 2, message
    app["args"][-1] = "exit 9"
    with running(env, app, restartPolicy="OnFailure") as pod:
        pod.wait(20)
        assert [code for code, _ in pod.by_name["app"].lives] == [0], pod.story()


def test_node_shutdown(env):
    """TERM again and again while it drains, as after a restart of the kubelet: the drain goes on to its end."""
    app = container("app", ["--grace=15s", "--drain=2s:8s", "--health=8086", "--", "/app"],
                    readinessProbe=http_probe("/readyz"))
    with running(env, app, terminationGracePeriodSeconds=15) as pod:
        pod.wait_for("app", "ready")
        ending = threading.Thread(target=pod.stop)
        ending.start()
        pod.wait_for("app", "not ready")
        for _ in range(5):
            pod.by_name["app"].signal("TERM")
            time.sleep(0.1)
        ending.join(20)
        assert pod.when("app", "ended with 7") - pod.when("app", "SIGTERM,") >= 1.9, pod.story()
        log = pod.by_name["app"].log()
        assert log.count("handler begins") == 1 and "handler done" in log, log
        assert pod.count("app", "SIGKILL") == 0, pod.story()


def test_out_of_memory(env):
    """A memory limit that is exceeded: 137, the reason, and the next life does not blame the first one's."""
    script = f"if [ -e /tmp/second ]; then exit 5; fi; touch /tmp/second; exec {EAT}"
    app = container("app", ["--", "sh", "-c", script], resources={"limits": {"memory": "64Mi"}},
                    volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])
    with running(env, app, backoff_s=0.2, volumes=[{"name": "tmp"}], securityContext=RESTRICTED) as pod:
        pod.wait_for("app", "ended with 5")
        first, second = pod.by_name["app"].lives[:2]
        assert first[0] == 137 and "out of memory" in first[1] and "64 MiB" in first[1], first
        assert "out of memory" not in second[1], second
        pod.stop()


def test_exec_beside_at_all_times(env):
    """kubectl exec and exec probes while it starts, runs and drains leave no zombie and change no status."""
    app = container("app", ["--grace=10s", "--drain=1s:3s", "--", "/app"],
                    livenessProbe=exec_probe("sh", "-c", "(sleep 0.1 &); exit 0", period=0.1),
                    readinessProbe=exec_probe("sh", "-c", "(sleep 0.1 &); exit 0", period=0.1))
    with running(env, app, terminationGracePeriodSeconds=10) as pod:
        pod.wait_for("app", "ready")
        time.sleep(1)
        one = pod.by_name["app"]
        for _ in range(50):
            stats = env.runc("exec", one.process.id, "sh", "-c", "cat /proc/[0-9]*/stat").out
            if ") Z " not in stats:
                break
            time.sleep(0.1)
        assert ") Z " not in stats, stats
        pod.stop()
        assert one.lives[0][0] == 7 and pod.count("app", "liveness probe failed") == 0, pod.story()


def example(name, **images):
    """The pod of a manifest in examples/; images: what stands for the command of an image."""
    try:
        import yaml
    except ImportError as missing:
        raise Skip("needs python3-yaml") from missing
    with open(f"{TOP}/examples/{name}.yaml") as f:
        spec = [d for d in yaml.safe_load_all(f) if "template" in d["spec"]][0]["spec"]["template"]["spec"]
    for one in spec["containers"]:
        one.update(images.get(one["name"], {}))
    return spec


@limit(60)
def test_example_deployment(env):
    """examples/deployment.yaml as it is: ready by its probes, 5 s of serving on while not ready, the app's own end."""
    spec = example("deployment")
    with running(env, *spec.pop("containers"), **spec) as pod:
        pod.wait_for("hello", "ready", 30)
        pod.stop()
        in_order(pod, ("hello", "startup probe succeeded"), ("hello", "ready"), ("hello", "SIGTERM, 45.0 s left"),
                 ("hello", "not ready: 503 draining"), ("hello", "ended with 0"), ("sandbox", "ended with 0"))
        assert 5 <= pod.when("hello", "ended") - pod.when("hello", "SIGTERM") < 20, pod.story()
        assert "all done" in pod.by_name["hello"].log() and "stop requested" in pod.by_name["hello"].lives[0][1]


@limit(60)
def test_example_job(env):
    """examples/job.yaml with a real sidecar: the work waits for it, and its end ends the sidecar, so the pod ends."""
    spec = example("job", proxy={"command": ["/usr/bin/python3", "-c", PROXY]})
    report = spec["containers"][0]
    report["args"] = report["args"][:report["args"].index("--") + 1] + ["sh", "-c", "echo working; sleep 1; exit 0"]
    with running(env, *spec.pop("containers"), **spec) as pod:
        pod.wait(30)
        in_order(pod, ("report", "started"), ("report", "ended with 0"), ("proxy", "ended with 0"),
                 ("sandbox", "ended with 0"))
        assert "told to quit" in pod.by_name["proxy"].log() and "working" in pod.by_name["report"].log(), pod.story()
