"""What the kubelet does with a pod, on runc: the order of events, the probes, the hooks, the end; and when each was.

A pod is the JSON that Kubernetes has for it, as far as it says what runs and how it ends: containers and init
containers with command, args, env, workingDir; the three probes and both hooks (exec, httpGet, tcpSocket, sleep);
resources.limits.memory; securityContext; emptyDir volumes; terminationMessagePath and -Policy; restartPolicy,
shareProcessNamespace, terminationGracePeriodSeconds. Images are not: every container has the same root, which is
read-only, and the machine's /usr. The sandbox is held by shim under catatonit's name, as podman has it.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import engines

LEAST_GRACE_S = 2  # what the kubelet leaves the app however long the pre-stop hook took
MESSAGE_MAX, LOG_TAIL_LINES, LOG_TAIL_MAX = 4096, 80, 2048
CLONE_NEWNET = 0x40000000
FIRST_BACKOFF_S, LAST_BACKOFF_S = 10, 300


def join_network(pid):
    """This thread alone sees the pod's network from now on."""
    import ctypes
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


class Pod:
    """start() returns when everything runs, stop() when nothing does; events are (seconds, who, what)."""

    def __init__(self, runc, folder, pod, backoff_s=FIRST_BACKOFF_S, mounts=()):
        self.runc, self.folder, self.backoff_s, self.mounts = runc, folder, backoff_s, list(mounts)
        self.spec = pod["spec"]
        self.name = f"{pod['metadata']['name']}-{os.getpid()}"
        self.grace_s = self.spec.get("terminationGracePeriodSeconds", 30)
        self.begun = time.monotonic()
        self.events = []
        self.lock = threading.Lock()
        self.is_stopping = False
        self.volumes = {}
        for volume in self.spec.get("volumes", []):
            self.volumes[volume["name"]] = os.path.join(folder, "volume-" + volume["name"])
            os.mkdir(self.volumes[volume["name"]])
            os.chmod(self.volumes[volume["name"]], 0o777)
        self.sandbox = None
        self.containers = [Container(self, c) for c in self.spec["containers"]]
        self.by_name = {c.name: c for c in self.containers}

    def note(self, who, what):
        with self.lock:
            self.events.append((time.monotonic() - self.begun, who, what))

    def when(self, who, what):
        """The time of the first event of who that begins with what."""
        found = [t for t, w, e in list(self.events) if w == who and e.startswith(what)]
        assert found, f"no {what!r} of {who} in:\n{self.story()}"
        return found[0]

    def count(self, who, what):
        return sum(w == who and e.startswith(what) for _, w, e in list(self.events))

    def wait_for(self, who, what, seconds=15, count=1):
        engines.wait_until(lambda: self.count(who, what) >= count, lambda: f"{who}: {what}\n{self.story()}", seconds)
        return self.when(who, what)

    def story(self):
        return "\n".join(f"{t:8.3f}  {who:10} {what}" for t, who, what in list(self.events))

    # -- life

    def start(self):
        self.sandbox = Process(self, "sandbox", ["/catatonit", "-P"], sandbox_config)
        self.sandbox.wait_until_it_runs()
        self.note("sandbox", "up")
        for spec in self.spec.get("initContainers", []):
            first = Container(self, spec)
            first.run_once()
            code = first.process.wait(60)
            self.note(first.name, f"ended with {code}")
            assert code == 0, f"init container {first.name}: {code}\n{first.log()}"
        for container in self.containers:  # one after another: each waits for its post-start hook
            container.start()
        return self

    def stop(self, grace_s=None):
        """As when the pod is deleted: all containers at the same time, and then the sandbox."""
        self.is_stopping = True
        self.note("pod", "deleted")
        grace_s = self.grace_s if grace_s is None else grace_s
        threads = [threading.Thread(target=c.kill, args=(grace_s,)) for c in self.containers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for container in self.containers:
            container.join()
        self.stop_sandbox()

    def stop_sandbox(self):
        if self.sandbox and self.sandbox.ended is None:
            self.sandbox.signal("TERM")
            self.sandbox.wait(10)
            self.note("sandbox", f"ended with {self.sandbox.ended}")

    def wait(self, seconds):
        """Until the containers have ended by themselves and are not started again."""
        for container in self.containers:
            container.join(seconds)
        self.is_stopping = True
        self.stop_sandbox()

    def discard(self):
        """Whatever still runs is killed."""
        self.is_stopping = True
        for process in [c.process for c in self.containers] + [self.sandbox]:
            if process and process.ended is None:
                process.signal("KILL")

    def connect(self):
        """The node reaches the pod at its address; here a thread goes into its network."""
        join_network(self.sandbox.pid)


def sandbox_config(config):
    config["process"]["user"] = {"uid": 65535, "gid": 65535}
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]


class Process:
    """One container of runc's, from its start to its end."""

    def __init__(self, pod, name, args, change):
        self.pod, self.runc = pod, pod.runc
        self.id = f"{pod.name}-{name}"
        self.bundle = pod.runc.bundle(pod.folder, self.id, args, change)
        self.output = f"{self.bundle}/log"
        self.ended = self.cached_pid = None
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(self.runc.argv + ["run", "--bundle", self.bundle, self.id],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def state(self):
        done = self.runc("state", self.id)
        return json.loads(done.out) if done.code == 0 else {"status": "unknown", "pid": 0}

    @property
    def pid(self):
        if not self.cached_pid:
            self.cached_pid = self.state()["pid"]
        return self.cached_pid

    def wait_until_it_runs(self):
        engines.wait_until(lambda: self.process.poll() is not None or self.state()["status"] == "running",
                           f"{self.id} runs")

    def signal(self, name):
        """To its first process. False when there is none any more."""
        return self.runc("kill", self.id, name).code == 0

    def wait(self, seconds):
        """The exit status, or None when it still runs then."""
        try:
            self.ended = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return self.ended

    def log(self):
        with open(self.output, errors="replace") as f:
            return f.read()


class Container:
    """One container of the spec through all its lives."""

    def __init__(self, pod, spec):
        self.pod, self.spec, self.name = pod, spec, spec["name"]
        self.process = self.message_path = None
        self.lives = []  # (exit status, termination message) of those that are over
        self.is_ready = self.is_started = False
        self.killing = threading.Lock()
        self.keeper = None
        self.may_go_on = threading.Event()
        self.probers = []

    def note(self, what):
        self.pod.note(self.name, what)

    # -- the config

    def change(self, config):
        spec, pod = self.spec, self.pod
        security = {**pod.spec.get("securityContext", {}), **spec.get("securityContext", {})}
        process = config["process"]
        process["user"] = {"uid": security.get("runAsUser", 0), "gid": security.get("runAsGroup", 0)}
        process["env"] = ["PATH=/bin:/usr/bin:/usr/sbin"] + [f"{e['name']}={e['value']}" for e in spec.get("env", [])]
        process["cwd"] = spec.get("workingDir", "/")
        process["noNewPrivileges"] = not security.get("allowPrivilegeEscalation", True)
        if "ALL" in security.get("capabilities", {}).get("drop", []):
            process["capabilities"] = {kind: [] for kind in process["capabilities"]}
        namespaces = [{"type": "mount"}]
        for kind in ("network", "ipc", "uts"):
            namespaces.append({"type": kind, "path": f"/proc/{pod.sandbox.pid}/ns/{kind[:3]}"})
        shared = pod.spec.get("shareProcessNamespace")
        namespaces.append({"type": "pid", **({"path": f"/proc/{pod.sandbox.pid}/ns/pid"} if shared else {})})
        config["linux"]["namespaces"] = namespaces
        memory = spec.get("resources", {}).get("limits", {}).get("memory")
        if memory:
            bytes_ = int(memory[:-2]) << {"Ki": 10, "Mi": 20, "Gi": 30}[memory[-2:]]
            config["linux"].setdefault("resources", {})["memory"] = {"limit": bytes_, "swap": bytes_}
        config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                 "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})
        binds = [("/usr", "/usr", "ro"), *pod.mounts,
                 (self.message_path, spec.get("terminationMessagePath", "/dev/termination-log"), "rw")]
        for mount in spec.get("volumeMounts", []):
            binds.append((pod.volumes[mount["name"]], mount["mountPath"], "ro" if mount.get("readOnly") else "rw"))
        for source, destination, mode in binds:
            config["mounts"].append({"destination": destination, "type": "bind", "source": source,
                                     "options": ["rbind", "rprivate", mode]})

    def run_once(self):
        """A new life, with a message file of its own that anybody may write."""
        number = len(self.lives)
        self.message_path = f"{self.pod.folder}/{self.name}-{number}.message"
        with open(self.message_path, "w"):
            pass
        os.chmod(self.message_path, 0o666)
        args = self.spec["command"] + self.spec.get("args", [])
        self.is_ready = self.is_started = False
        self.process = Process(self.pod, f"{self.name}-{number}", args, self.change)
        self.process.wait_until_it_runs()
        self.note(f"started ({number})")

    # -- its lives

    def start(self):
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()
        self.may_go_on.wait(60)

    def join(self, seconds=30):
        self.keeper.join(seconds)
        assert not self.keeper.is_alive(), f"{self.name} does not end\n{self.pod.story()}\n{self.log()}"

    def keep(self):
        backoff_s = self.pod.backoff_s
        while True:
            self.run_once()
            hook = threading.Thread(target=self.after_start, daemon=True)
            hook.start()
            self.probers = self.start_probes()
            code = None
            while code is None:
                code = self.process.wait(1)
            self.lives.append((code, self.message(code)))
            self.note(f"ended with {code}: {self.lives[-1][1].strip()}")
            self.may_go_on.set()
            policy = self.pod.spec.get("restartPolicy", "Always")
            if self.pod.is_stopping or policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            self.note(f"back-off {backoff_s:g} s")
            end = time.monotonic() + backoff_s
            while time.monotonic() < end:
                if self.pod.is_stopping:
                    return
                time.sleep(0.02)
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    def message(self, code):
        with open(self.message_path, errors="replace") as f:
            text = f.read(MESSAGE_MAX)
        policy = self.spec.get("terminationMessagePolicy", "File")
        if text or policy != "FallbackToLogsOnError" or code == 0:
            return text
        return "".join(self.process.log().splitlines(True)[-LOG_TAIL_LINES:])[-LOG_TAIL_MAX:]

    def log(self):
        return self.process.log()

    # -- hooks

    def act(self, handler, seconds):
        """An exec, httpGet, tcpSocket or sleep action: "" if it succeeded, else what went wrong."""
        try:
            if "exec" in handler:
                argv = self.process.runc.argv + ["exec", self.process.id, *handler["exec"]["command"]]
                done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
                return "" if done.returncode == 0 else f"{done.returncode}: {(done.stdout + done.stderr).strip()}"
            if "sleep" in handler:
                time.sleep(min(seconds, handler["sleep"]["seconds"]))
                return ""
            return self.ask(handler, seconds)
        except subprocess.TimeoutExpired:
            return f"not within {seconds:g} s"
        except OSError as error:
            return str(error)

    def port(self, port):
        """A number, or the name of one."""
        named = {p.get("name"): p["containerPort"] for p in self.spec.get("ports", [])}
        return named.get(port, port)

    def ask(self, handler, seconds):
        found = []

        def in_the_pod():
            try:
                self.pod.connect()
                if "tcpSocket" in handler:
                    socket.create_connection(("127.0.0.1", self.port(handler["tcpSocket"]["port"])), seconds).close()
                    found.append("")
                    return
                get = handler["httpGet"]
                link = http.client.HTTPConnection("127.0.0.1", self.port(get["port"]), timeout=seconds)
                link.request("GET", get.get("path", "/"))
                answer = link.getresponse()
                text = answer.read().decode(errors="replace").strip()
                found.append("" if 200 <= answer.status < 400 else f"{answer.status} {text}")
                link.close()
            except OSError as error:
                found.append(str(error) or "timed out")

        thread = threading.Thread(target=in_the_pod)  # a thread of its own, which alone is in the pod's network
        thread.start()
        thread.join()
        return found[0]

    def after_start(self):
        handler = self.spec.get("lifecycle", {}).get("postStart")
        if handler:
            self.note("post-start hook begins")
            problem = self.act(handler, 60)
            self.note(f"post-start hook failed: {problem}" if problem else "post-start hook done")
            if problem and self.process.process.poll() is None:
                self.kill(self.pod.grace_s)
        self.may_go_on.set()

    # -- probes

    def start_probes(self):
        threads = []
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind in self.spec:
                threads.append(threading.Thread(target=self.probe, args=(kind, self.process), daemon=True))
        self.is_started = "startupProbe" not in self.spec
        self.is_ready = "readinessProbe" not in self.spec and self.is_started
        for thread in threads:
            thread.start()
        return threads

    def probe(self, kind, life):
        probe, word = self.spec[kind], kind[:-5]
        time.sleep(probe.get("initialDelaySeconds", 0))
        good = bad = 0
        while life.process.poll() is None:
            # A pod that is being deleted is asked for its readiness still, but not for its liveness.
            if (self.pod.is_stopping and kind != "readinessProbe") or (kind == "startupProbe" and self.is_started):
                return
            if kind == "startupProbe" or self.is_started:
                problem = self.act(probe, probe.get("timeoutSeconds", 1))
                if life.process.poll() is not None:
                    return
                good, bad = (0, bad + 1) if problem else (good + 1, 0)
                self.judge(kind, word, probe, good, bad, problem)
            time.sleep(probe.get("periodSeconds", 10))

    def judge(self, kind, word, probe, good, bad, problem):
        is_up, is_down = good >= probe.get("successThreshold", 1), bad >= probe.get("failureThreshold", 3)
        if kind == "readinessProbe":
            if (is_up and not self.is_ready) or (is_down and self.is_ready):
                self.is_ready = is_up
                self.note("ready" if is_up else f"not ready: {problem}")
        elif kind == "startupProbe" and is_up:
            self.is_started = True
            self.is_ready = "readinessProbe" not in self.spec
            self.note("startup probe succeeded")
        elif is_down:
            self.note(f"{word} probe failed: {problem}")
            self.kill(probe.get("terminationGracePeriodSeconds", self.pod.grace_s))

    # -- the end

    def kill(self, grace_s):
        """The pre-stop hook, TERM, what is left of the grace period, KILL."""
        with self.killing:
            life = self.process
            if life.process.poll() is not None:
                return
            begun = time.monotonic()
            handler = self.spec.get("lifecycle", {}).get("preStop")
            if handler and grace_s > 0:
                self.note("pre-stop hook begins")
                problem = self.act(handler, grace_s)
                self.note(f"pre-stop hook failed: {problem}" if problem else "pre-stop hook done")
            left_s = max(grace_s - (time.monotonic() - begun), LEAST_GRACE_S)
            self.note(f"SIGTERM, {left_s:.1f} s left")
            life.signal("TERM")
            try:
                life.process.wait(left_s)
            except subprocess.TimeoutExpired:
                self.note("SIGKILL")
                life.signal("KILL")
                life.process.wait(20)

    def signal(self, number_or_name):
        self.note(f"SIG{number_or_name} again")
        self.process.signal(number_or_name)


def in_front(runc, folder, path, mounts, stop_after_s):
    """Runs the pod of a file, deletes it after a time, or at Ctrl-C, and prints what was when."""
    with open(path) as f:
        pod = Pod(runc, folder, json.load(f), mounts=mounts)
    enough = threading.Event()
    for signo in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signo, lambda *_: enough.set())
    pod.start()
    enough.wait(stop_after_s)
    pod.stop()
    print(pod.story())
    for container in pod.containers:
        for number, (code, message) in enumerate(container.lives):
            print(f"{container.name} ({number}): exit status {code}, termination message: {message.strip()!r}")
    return 0
