"""Local root file systems to import: a busybox one, and a Debian one cut from the packages installed here."""

import os
import shutil
import subprocess

import engines

HERE = os.path.dirname(os.path.realpath(__file__))
BUSYBOX = "/usr/bin/busybox"


def base_root(work, shim):
    """A folder with busybox, /app, and the binary under test as /shim and under its other names."""
    root = os.path.join(work, "root")
    if os.path.isdir(root):
        return root
    busybox = engines.program("busybox", BUSYBOX)
    for folder in ("bin", "tmp", "proc", "sys", "dev", "etc", "run", "usr"):
        os.makedirs(os.path.join(root, folder))
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    for name in ("lib", "lib64"):  # with the machine's own /usr mounted, its programs run too
        os.symlink(f"usr/{name}", f"{root}/{name}")
    shutil.copy(busybox, f"{root}/bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            os.symlink("busybox", f"{root}/bin/{applet}")
    shutil.copy(shim, f"{root}/shim")
    for name in ("tini", "dumb-init", "catatonit"):
        os.symlink("shim", f"{root}/{name}")
    shutil.copy(os.path.join(HERE, "app"), f"{root}/app")
    return root


def import_base(cli, work, shim):
    root = base_root(work, shim)
    archive = os.path.join(work, "root.tar")
    if not os.path.exists(archive):
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    cli("import", "--change", "ENV PATH=/bin", archive, engines.BASE).must()
