"""A real Docker engine, podman and runc, each on folders of its own, with shim as their init."""

import json
import os
import shutil
import subprocess
import time

BASE = "shim-base:1"


class Unavailable(Exception):
    pass


def wait_until(check, what, seconds=15):
    """Tries check every 0.1 s until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.1)


class Done:
    """What a finished command left: code, out, err, and took (seconds)."""

    def __init__(self, argv, timeout, stdin=None):
        started = time.monotonic()
        done = subprocess.run(argv, input=stdin, stdin=None if stdin else subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=timeout)
        self.took = time.monotonic() - started
        self.argv = argv
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self):
        return f"code {self.code} after {self.took:.1f} s\nout: {self.out}\nerr: {self.err}"

    def must(self):
        assert self.code == 0, f"{' '.join(self.argv)}\n{self!r}"
        return self


def program(name, *places):
    """Debian's own before whatever PATH offers first."""
    for place in places:
        if os.access(place, os.X_OK):
            return place
    found = shutil.which(name)
    if not found:
        raise Unavailable(f"no {name} here")
    return found


class Cli:
    """What the command lines of docker and podman have in common."""

    argv = []
    run_flags = []

    def __call__(self, *args, timeout=25, stdin=None):
        return Done(self.argv + list(args), timeout, stdin)

    def run(self, *args, timeout=25):
        """Runs to its end; not removed unless asked."""
        return self("run", *self.run_flags, *args, timeout=timeout)

    def start(self, *args):
        """Starts one in the background and returns it; the words of its app are in logs()."""
        return Container(self, self("run", "-d", *self.run_flags, *args).must().out.strip())


class Container:
    def __init__(self, cli, name):
        self.cli = cli
        self.name = name

    def logs(self):
        done = self.cli("logs", self.name)
        return done.out + done.err

    def wait_for(self, text, seconds=15):
        wait_until(lambda: text in self.logs() or not self.is_running(), lambda: self.logs(), seconds)
        assert text in self.logs(), f"no {text!r} in the log, which is: {self.logs()!r}"
        return self

    def stop(self, *args):
        return self.cli("stop", *args, self.name).must()

    def kill(self, signal):
        return self.cli("kill", "-s", signal, self.name).must()

    def exec(self, *args):
        return self.cli("exec", self.name, *args)

    def inspect(self):
        return json.loads(self.cli("inspect", self.name).must().out)[0]

    def is_running(self):
        return self.inspect()["State"]["Running"]

    def ended(self, seconds=15):
        """Its exit code, once it has ended."""
        wait_until(lambda: not self.is_running(), "the container's end", seconds)
        return self.inspect()["State"]["ExitCode"]


class Docker(Cli):
    run_flags = ["--network", "none"]

    def __init__(self, work, shim):
        client = program("docker", "/usr/bin/docker")
        engine = program("dockerd", "/usr/sbin/dockerd")
        self.folder = os.path.join(work, "d")
        os.mkdir(self.folder)
        self.socket = f"unix://{self.folder}/s"
        self.argv = [client, "--config", f"{self.folder}/config", "-H", self.socket]
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [engine, "--iptables=false", "--ip6tables=false", "--bridge=none", "--host", self.socket,
                 "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec",
                 "--pidfile", f"{self.folder}/pid", "--cgroup-parent", "/" + os.path.basename(work),
                 "--init-path", shim],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_until_up()

    def wait_until_up(self):
        deadline = time.monotonic() + 30
        while self("info", "--format", "{{.ServerVersion}}").code != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.log) as log:
                    raise Unavailable("dockerd does not start: " + "".join(log.readlines()[-3:]))
            time.sleep(0.1)

    def stop_engine(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Podman(Cli):
    run_flags = ["--network", "none", "--pull", "never"]  # a registry is never asked

    def __init__(self, work, shim):
        folder = os.path.join(work, "p")
        os.makedirs(f"{folder}/helpers")
        self.shim = shim
        self.cgroup_flags = ["--cgroup-parent", "/" + os.path.basename(work)]
        self.run_flags = self.run_flags + self.cgroup_flags
        self.argv = [program("podman", "/usr/bin/podman"), "--root", f"{folder}/root", "--runroot", f"{folder}/runroot",
                     "--tmpdir", f"{folder}/tmp", "--runtime", program("runc", "/usr/sbin/runc"),
                     "--cgroup-manager=cgroupfs", "--events-backend=none"]
        # Pods are held by the program of this name in this folder; the default limits are too much for some machines.
        shutil.copy(shim, f"{folder}/helpers/catatonit")
        with open(f"{folder}/containers.conf", "w") as file:
            file.write(f'[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
                       f'[engine]\nhelper_binaries_dir = ["{folder}/helpers", "/usr/lib/podman"]\n')
        os.environ["CONTAINERS_CONF"] = f"{folder}/containers.conf"
        probe = self("info")
        if probe.code != 0:
            raise Unavailable(f"podman does not start: {probe.err.strip()}")


class Runc:
    """Bundles made by hand: what Kubernetes' runtimes do, without them."""

    def __init__(self, work, shim):
        self.argv = [program("runc", "/usr/sbin/runc"), "--root", f"{work}/r"]
        self.cgroup = "/" + os.path.basename(work)
        self.root = None
        spec = Done(self.argv + ["--version"], 10)
        if spec.code != 0:
            raise Unavailable(f"runc does not start: {spec.err.strip()}")

    def __call__(self, *args, timeout=25):
        return Done(self.argv + list(args), timeout)

    def bundle(self, folder, name, args, change=None):
        """A folder with a config.json: args run as root, a private everything; change(config) alters it."""
        path = os.path.join(folder, name)
        os.mkdir(path)
        Done(self.argv + ["spec", "--bundle", path], 10).must()
        config_path = os.path.join(path, "config.json")
        with open(config_path) as file:
            config = json.load(file)
        config["root"] = {"path": self.root, "readonly": True}
        config["process"].update({"args": args, "terminal": False, "rlimits": []})
        config["linux"]["cgroupsPath"] = f"{self.cgroup}/{name}"
        if change:
            change(config)
        with open(config_path, "w") as file:
            json.dump(config, file)
        return path
