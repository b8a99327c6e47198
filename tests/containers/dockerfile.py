"""Dockerfile.example, built by the real engine without a network, and what comes out of it."""

import os
import re

import debian
import engines
from harness import Skip, limit

NEEDS = ["docker"]
TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
BASE_PACKAGES = ["apt", "bash", "coreutils", "dash", "dpkg", "grep", "sed", "findutils"]


def build_packages():
    """What the file itself installs: the base has just that, and a package that is missing in it fails the build."""
    with open(f"{TOP}/Dockerfile.example") as file:
        line = re.search(r"apt-get install [^&]*", file.read().replace("\\\n", " "))[0]
    return [word for word in line.split()[2:] if not word.startswith("-")]


def import_debian(env, tag, packages):
    path = f"{env.folder}/{tag}.tar"
    try:
        debian.archive(path, BASE_PACKAGES + packages)
    except (KeyError, OSError) as missing:
        raise Skip(f"the base image is made of installed Debian packages; missing: {missing}") from missing
    env.docker("import", "--change", "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", path, f"{tag}:1", timeout=60).must()
    os.unlink(path)


def build(env):
    import_debian(env, "build-base", build_packages())
    import_debian(env, "app-base", ["python3"])
    argv = ["env", "DOCKER_BUILDKIT=0"] + env.docker.argv + [
        "build", "--network", "none", "--file", f"{TOP}/Dockerfile.example", "--build-arg", "BUILD_IMAGE=build-base:1",
        "--build-arg", "APP_IMAGE=app-base:1", "--tag", "hello:1.0.0", TOP]
    return engines.Done(argv, 100).must()


@limit(150)
def test_example_image(env):
    """The file's instructions all run; the image is non-root, labelled, answers, and stops at once."""
    build(env)
    config = engines.json.loads(env.docker("inspect", "hello:1.0.0").must().out)[0]["Config"]
    assert config["Entrypoint"] == ["/shim", "--"] and config["User"] == "10001:10001", config
    assert config["StopSignal"] == "SIGTERM" and "8080/tcp" in config["ExposedPorts"], config
    assert config["Labels"]["org.opencontainers.image.version"] == "1.0.0", config
    hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    container = env.docker.start(*hardened, "--health-interval", "500ms", "hello:1.0.0")
    container.wait_for("listening on port 8080")
    engines.wait_until(lambda: container.inspect()["State"]["Health"]["Status"] == "healthy",
                       lambda: container.inspect()["State"]["Health"])
    get = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/').read())"
    assert container.exec("python3", "-c", get).must().out == "b'hello\\n'\n"
    processes = container.exec("sh", "-c", "cat /proc/1/comm /proc/1/status").must().out
    assert processes.startswith("shim\n") and "Uid:\t10001\t" in processes, processes
    took = container.stop("-t", "30").took
    assert took < 10, took
    assert "SIGTERM handler" in container.logs() and "all done" in container.logs(), container.logs()
