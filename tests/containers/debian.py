"""A Debian root file system cut out of the packages that are installed on this machine, without any network.

It has the files of the named packages and of all they depend on, and a dpkg database that says so: `apt-get install`
inside finds what is there already, and fails for what is not.
"""

import os
import re
import subprocess

STATUS = "/var/lib/dpkg/status"
INFO = "/var/lib/dpkg/info"
LINKS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
EMPTY = ("dev", "proc", "sys", "run", "tmp", "root", "etc/apt/apt.conf.d", "etc/apt/preferences.d",
         "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt",
         "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers")


def installed():
    """Name (and what is provided) -> the paragraph of the dpkg database."""
    packages, provided = {}, {}
    with open(STATUS) as file:
        for paragraph in file.read().split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z-]+): *(.*(?:\n .*)*)", paragraph, re.M))
            if "installed" not in fields.get("Status", "").split():
                continue
            fields["paragraph"] = paragraph
            packages.setdefault(fields["Package"], fields)
            for name in names(fields.get("Provides", "")):
                provided.setdefault(name[0], fields)
    return {**provided, **packages}


def names(relation):
    """"a (>= 1) | b, c:any" -> [[a, b], [c]]."""
    groups = [g for g in relation.replace("\n", " ").split(",") if g.strip()]
    return [[re.match(r"[^ :(]+", choice.strip())[0] for choice in group.split("|")] for group in groups]


def closure(wanted):
    """The paragraphs of the wanted packages and of all they need. KeyError: one that is not installed."""
    known, found, waiting = installed(), {}, list(wanted)
    while waiting:
        package = known[waiting.pop()]
        if package["Package"] in found:
            continue
        found[package["Package"]] = package
        for field in ("Depends", "Pre-Depends"):
            for group in names(package.get(field, "")):
                waiting += [choice for choice in group if choice in known][:1]
    return found


def file_list(package):
    for name in (package["Package"], f"{package['Package']}:{package['Architecture']}"):
        path = f"{INFO}/{name}.list"
        if os.path.exists(path):
            with open(path) as file:
                return [line for line in file.read().splitlines() if line != "/."]
    return []


def archive(path, wanted):
    """Writes the root file system of these packages as a tar archive to path."""
    packages = closure(wanted)
    root = f"{path}.d"
    for folder in EMPTY:
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    os.chmod(f"{root}/tmp", 0o1777)
    with open(f"{root}/var/lib/dpkg/status", "w") as file:
        file.write("\n\n".join(p["paragraph"].strip("\n") for p in packages.values()) + "\n")
    for name in ("passwd", "group"):
        with open(f"{root}/etc/{name}", "w") as file:
            file.write("root:x:0:0:root:/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n")
    skipped = tuple(f"/{link}/" for link in LINKS)  # merged /usr: these are links, their files are below /usr
    files = {f for p in packages.values() for f in file_list(p) if not f.startswith("/usr/share/doc/")}
    files = {f"/usr{f}" if f.startswith(skipped) and os.path.islink("/" + f.split("/")[1]) else f for f in files}
    files = {f for f in files if os.path.lexists(f) and f.lstrip("/") not in LINKS}
    files |= {f"/{link}" for link in LINKS if os.path.islink(f"/{link}")}
    listing = "\n".join(sorted(f.lstrip("/") for f in files if not os.path.lexists(root + f)))
    subprocess.run(["tar", "-C", "/", "--no-recursion", "-cf", path, "-T", "-"], input=listing, text=True, check=True)
    subprocess.run(["tar", "-C", root, "-rf", path, "."], check=True)
