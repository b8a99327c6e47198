#!/usr/bin/python3
"""HTTPS targets against nginx and openssl s_server: certificates good and bad, ports that speak the other thing.

Loopback only, free ports, a certificate authority of its own in a temporary directory. Runs anywhere, as anyone (one case
needs root for chroot). Last line: "N passed, N failed".
"""

import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from targets import TOOL, expect, finish, free_port, hold, listener, process, verdict  # noqa: E402

SUITES = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
          "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256",
          "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
NAMES = "subjectAltName=DNS:localhost,DNS:*.app.test,IP:127.0.0.1,IP:::1"
OTHER = "subjectAltName=DNS:other.test,DNS:localhost.test,IP:127.0.0.2"
KEYS = {"rsa": ["rsa:2048"], "rsa4096": ["rsa:4096"],
        "p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "p521": ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "ed25519": ["ed25519"]}


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def make_ca(name, key="p256", signer=None):
    sign = ["-CA", f"{signer}.pem", "-CAkey", f"{signer}.key"] if signer else []
    openssl("req", "-x509", "-newkey", *KEYS[key], "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-days", "2", *sign)


def make_certificate(name, key="rsa", ca="ca", names=NAMES, extra=(), subject="/CN=server"):
    """NAME.key and NAME.pem, signed by ca."""
    days = [] if "-days" in extra else ["-days", "2"]
    openssl("req", "-newkey", *KEYS[key], "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    with open(f"{name}.ext", "w", encoding="ascii") as f:
        f.write(f"{names}\n" if names else "keyUsage=digitalSignature\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-extfile", f"{name}.ext", *days, *extra)


def make_all():
    make_ca("ca")
    make_ca("stranger")
    make_ca("rsaca", key="rsa4096")
    make_ca("middle", key="p384", signer="ca")
    make_certificate("good")
    make_certificate("p256", key="p256")
    make_certificate("p384", key="p384", ca="rsaca", extra=("-sha384",))
    make_certificate("p521", key="p521", extra=("-sha512",))
    make_certificate("ed25519", key="ed25519")
    make_certificate("other", names=OTHER)
    make_certificate("expired", extra=("-days", "-1"))
    make_certificate("bare", names="", subject="/CN=localhost")
    make_certificate("behind", ca="middle")
    make_certificate("critical", names=NAMES.replace("=", "=critical,"))
    with open("chain.pem", "w", encoding="ascii") as f:
        for part in ("behind.pem", "middle.pem"):
            with open(part, encoding="ascii") as g:
                f.write(g.read())
    with open("bundle.pem", "w", encoding="ascii") as f:
        f.write("# words between certificates, as in a system's bundle\n")
        for part in ("stranger.pem", "rsaca.pem", "ca.pem"):
            with open(part, encoding="ascii") as g:
                f.write(f"{part}\n{g.read().rstrip()}\n")
    with open("nothing.pem", "w", encoding="ascii") as f:
        f.write("no certificate here\n")
    with open("broken.pem", "w", encoding="ascii") as f:
        f.write("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n")


@contextlib.contextmanager
def s_server(certificate, *args, file=None):
    port = free_port()
    with process("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", file or f"{certificate}.pem", "-key",
                 f"{certificate}.key", "-www", *args, port=port):
        yield port


NGINX = """daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
    uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    server {{
        listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl; listen [::1]:{tls} ssl;
        ssl_certificate {dir}/good.pem; ssl_certificate_key {dir}/good.key;
        location / {{ return 200 ok; }}
        location /503 {{ return 503; }}
        location /301 {{ return 301 http://nowhere.invalid/; }}
        location /post {{ if ($request_method != POST) {{ return 405; }} return 204; }}
        location /token {{ if ($http_x_token != secret) {{ return 403; }} return 204; }}
    }}
    server {{
        listen 127.0.0.1:{sni} ssl default_server; server_name _;
        ssl_certificate {dir}/other.pem; ssl_certificate_key {dir}/other.key;
        return 200 ok;
    }}
    server {{
        listen 127.0.0.1:{sni} ssl; server_name localhost;
        ssl_certificate {dir}/good.pem; ssl_certificate_key {dir}/good.key;
        return 200 ok;
    }}
}}
"""


def test_nginx(directory):
    plain, tls, sni = free_port(), free_port(), free_port()
    with open("nginx.conf", "w", encoding="ascii") as f:
        f.write(NGINX.format(dir=directory, plain=plain, tls=tls, sni=sni))
    with process("nginx", "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf", port=tls):
        for host in ("127.0.0.1", "localhost", "[::1]", ""):
            where = f"nginx at '{host}'"
            expect(f"{where}, any certificate", 0, "", "check", f"https://{host}:{tls}/")
            expect(f"{where}, its CA", 0, "", "check", f"https://{host}:{tls}/", "ca=ca.pem")
            expect(f"{where}, a bundle", 0, "", "check", f"https://{host}:{tls}/", "ca=bundle.pem")
            expect(f"{where}, another CA", 1, "certificate: signed by an unknown CA", "check",
                   f"https://{host}:{tls}/", "ca=stranger.pem")
        expect("status 503", 1, "status 503$", "check", f"https://127.0.0.1:{tls}/503")
        expect("redirect", 0, "", "check", f"https://127.0.0.1:{tls}/301")
        expect("GET where POST is wanted", 1, "status 405$", "check", f"https://127.0.0.1:{tls}/post")
        expect("POST", 0, "", "hook", f"POST https://127.0.0.1:{tls}/post", "ca=ca.pem")
        expect("no header", 1, "status 403$", "hook", f"https://:{tls}/token")
        expect("a header", 0, "", "hook", f"https://:{tls}/token", "header=X-Token: secret")
        expect("plain HTTP works", 0, "", "check", f"http://127.0.0.1:{plain}/")
        expect("TLS on a plain port", 1, "the port does not speak TLS$", "check", f"https://127.0.0.1:{plain}/")
        expect("plain HTTP on a TLS port that answers in HTTP", 1, "status 400$", "check", f"http://127.0.0.1:{tls}/")
        expect("the name is sent", 0, "", "check", f"https://localhost:{sni}/", "ca=ca.pem")
        expect("an address is not sent as a name", 1, "certificate: not for this host name", "check",
               f"https://127.0.0.1:{sni}/", "ca=ca.pem")
        system = "/etc/ssl/certs/ca-certificates.crt"
        if os.path.exists(system):
            expect("the system's bundle", 1, "unknown CA", "check", f"https://localhost:{tls}/", f"ca={system}")
        test_chroot(directory, tls)


def test_chroot(directory, port):
    """Nothing but the tool: no /dev, no /etc, no libraries."""
    with open(TOOL, "rb") as f:
        is_dynamic = b"/ld-linux" in f.read()
    if os.geteuid() != 0 or is_dynamic:
        print("skipped: the empty chroot (not root, or the tool is not static)")
        return
    empty = os.path.join(directory, "empty")
    os.mkdir(empty)
    shutil.copy(TOOL, os.path.join(empty, "tool"))
    shutil.copy("ca.pem", empty)
    for host in ("127.0.0.1", "localhost", "[::1]"):
        done = subprocess.run(["/tool", "check", f"https://{host}:{port}/", "ca=/ca.pem"], timeout=30, check=False,
                              capture_output=True, text=True, preexec_fn=lambda: os.chroot(empty), cwd="/")
        verdict(f"empty chroot, {host}", "" if done.returncode == 0 else f"{done.returncode} {done.stderr!r}")


def test_certificates():
    url = "https://{}:{}/"
    for name in ("p256", "p384", "p521", "bare"):
        ca = "rsaca.pem" if name == "p384" else "ca.pem"
        with s_server(name) as port:
            expect(f"{name}, any certificate", 0, "", "check", url.format("127.0.0.1", port))
            expect(f"{name}, its CA", 0, "", "check", url.format("localhost", port), f"ca={ca}")
    with s_server("bare") as port:
        expect("a certificate without addresses", 1, "not for this host name", "check", url.format("127.0.0.1", port),
               "ca=ca.pem")
    with s_server("critical") as port:
        expect("critical names", 0, "", "check", url.format("127.0.0.1", port), "ca=ca.pem")
    with s_server("other") as port:
        for host in ("localhost", "127.0.0.1"):
            expect(f"wrong name, {host}", 1, "certificate: not for this host name$", "check", url.format(host, port),
                   "ca=ca.pem")
            expect(f"wrong name, {host}, any certificate", 0, "", "check", url.format(host, port))
    with s_server("expired") as port:
        expect("expired", 1, "certificate: expired", "check", url.format("localhost", port), "ca=ca.pem")
        expect("expired, any certificate", 0, "", "check", url.format("localhost", port))
    with s_server("behind", "-cert_chain", "middle.pem") as port:
        expect("an intermediate CA", 0, "", "check", url.format("localhost", port), "ca=ca.pem")
    with s_server("behind") as port:
        expect("the intermediate CA is missing", 1, "unknown CA", "check", url.format("localhost", port), "ca=ca.pem")
        expect("the intermediate CA as the CA", 0, "", "check", url.format("localhost", port), "ca=middle.pem")
    with s_server("good") as port:
        expect("the certificate itself as the CA", 0, "", "check", url.format("localhost", port), "ca=good.pem")
        expect("another certificate as the CA", 1, "unknown CA", "check", url.format("localhost", port), "ca=p256.pem")
        expect("plain HTTP on a TLS port", 1, "the port speaks TLS$", "check", f"http://127.0.0.1:{port}/")
        expect("tcp on a TLS port", 0, "", "check", f"tcp://127.0.0.1:{port}")
    with s_server("ed25519") as port:
        expect("a key that shim does not know", 1, "the server wants a cipher", "check", url.format("127.0.0.1", port))


def test_versions_and_suites():
    for suite in SUITES:
        with s_server("p256" if "ECDSA" in suite else "good", "-tls1_2", "-cipher", suite) as port:
            expect(suite, 0, "", "check", f"https://localhost:{port}/", "ca=ca.pem")
    for curve in ("X25519", "P-256", "P-384", "P-521"):
        with s_server("good", "-tls1_2", "-curves", curve) as port:
            expect(curve, 0, "", "check", f"https://localhost:{port}/", "ca=ca.pem")
    with s_server("good", "-tls1_3") as port:
        expect("TLS 1.3 only", 1, "the server does not speak TLS 1.2$", "check", f"https://localhost:{port}/")
    with s_server("good", "-tls1_2", "-cipher", "AES128-SHA") as port:
        expect("no cipher in common", 1, "the server wants a cipher", "check", f"https://localhost:{port}/")
    with s_server("good", "-tls1_2", "-Verify", "1") as port:
        expect("a client certificate is wanted", 1, "client certificate", "check", f"https://localhost:{port}/")


def test_hostile():
    def says(data):
        def behave(c):
            c.recv(4096)
            c.sendall(data)
            hold(c)
        return behave

    def closes(c):
        c.recv(4096)

    def resets(c):
        c.recv(1)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    slow = "timed out after 0\\.5s \\(TLS handshake\\)$"
    cases = [("silence", hold, slow), ("half a record", says(b"\x16\x03\x03\x40\x00\x02"), slow),
             ("closed at once", closes, "connection closed during the TLS handshake$"),
             ("rubbish in a record", says(b"\x16\x03\x03\x00\x04\xff\xff\xff\xff"), "TLS failed"),
             ("an alert", says(b"\x15\x03\x03\x00\x02\x02\x50"), "TLS alert 80 from the server$"),
             ("SSH", says(b"SSH-2.0-x\r\n"), "the port does not speak TLS$"),
             ("HTTP", says(b"HTTP/1.1 400 Bad\r\n\r\n"), "the port does not speak TLS$")]
    def floods(data):
        def behave(c):
            c.recv(4096)
            while True:
                c.sendall(data)
        return behave

    def drips(data):
        def behave(c):
            c.recv(4096)
            for byte in data:
                c.sendall(bytes([byte]))
                time.sleep(0.05)
        return behave

    # A ServerHello's beginning, and messages that are longer than anybody would send.
    hello = b"\x16\x03\x03\x00\x4a\x02\x00\x00\x46\x03\x03" + bytes(200)
    cases += [("warnings without end", floods(b"\x15\x03\x03\x00\x02\x01\x5a" * 100), "timed out|TLS"),
              ("empty records without end", floods(b"\x16\x03\x03\x00\x00" * 100), "timed out|TLS"),
              ("zeroes without end", floods(b"\x16\x03\x03\x3f\xff" + bytes(0x3fff)), "timed out|TLS"),
              ("a drip", drips(hello), slow),
              ("a record that is too long", says(b"\x16\x03\x03\xff\xff" + bytes(70000)), "TLS failed"),
              ("a message of 16 MiB", floods(b"\x16\x03\x03\x3f\xff\x02\xff\xff\xff" + bytes(0x3ffb)),
               "timed out|TLS"),
              ("data before the handshake", says(b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00\x17\x03\x03\x00\x05hello"), "TLS failed"),
              ("a reset", resets, "connection (reset|closed)")]
    for name, behave, words in cases:
        with listener(behave) as port:
            expect(name, 1, words, "check", f"https://127.0.0.1:{port}/", "timeout=500" if words == slow else
                   "timeout=1500" if "timed out" in words else "timeout=5000", at_most=5)


def test_after_the_handshake():
    """Servers that speak TLS well and then misbehave in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain("good.pem", "good.key")

    def inside(speak):
        def behave(c):
            with context.wrap_socket(c, server_side=True, suppress_ragged_eofs=True) as t:
                t.recv(4096)
                speak(t)
        return behave

    def cuts(data):
        """Without a good-bye: a cut connection must not pass for a whole answer."""
        def speak(t):
            t.sendall(data)
            raw = socket.socket(fileno=os.dup(t.fileno()))
            raw.shutdown(socket.SHUT_RDWR)
        return speak

    def floods(data):
        def speak(t):
            while True:
                t.sendall(data)
        return speak

    def drips(t):
        for byte in b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 100:
            t.sendall(bytes([byte]))
            time.sleep(0.05)

    def garbage(t):
        raw = socket.socket(fileno=os.dup(t.fileno()))
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        hold(t)

    def downgrade(t):
        """A second handshake is asked for in clear: nothing unsealed counts any more."""
        raw = socket.socket(fileno=os.dup(t.fileno()))
        raw.sendall(b"\x16\x03\x03\x00\x04\x00\x00\x00\x00")
        hold(t)

    slow = r"timed out after 0\.7s \(waiting for the answer\)$"
    for name, speak, words in (
            ("cut within the status", cuts(b"HTTP/1.1 20"), "connection (closed within the answer|reset by peer)$"),
            ("cut before the answer", cuts(b""), "connection (closed without an answer|reset by peer)$"),
            ("silence", hold, slow), ("a drip", drips, slow),
            ("interim answers without end", floods(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "no status in 16 KiB"),
            ("a header without end", floods(b"HTTP/1.1 103 x\r\nA: " + b"y" * 5000), "no status in 16 KiB"),
            ("a status without a line's end", floods(b"HTTP/1.1 200 " + b"y" * 5000), "no status in 16 KiB|not HTTP"),
            ("garbage in a record", garbage, "TLS failed"), ("a handshake in clear", downgrade, "TLS failed")):
        with listener(inside(speak)) as port:
            expect(f"after the handshake: {name}", 1, words, "check", f"https://127.0.0.1:{port}/",
                   "timeout=700" if words == slow else "timeout=5000", at_most=6)


def test_ca_files(directory):
    for name, words in (("missing.pem", "bad option"), ("nothing.pem", "bad option"), ("broken.pem", "bad option"),
                        (directory, "bad option"), ("good.key", "bad option")):
        expect(f"CA file {os.path.basename(name)}", 125, words, "check", "https://127.0.0.1:1/", f"ca={name}")


def main():
    with tempfile.TemporaryDirectory(prefix="test_tls.") as directory:
        os.chdir(directory)
        make_all()
        test_nginx(directory)
        test_certificates()
        test_versions_and_suites()
        test_hostile()
        test_after_the_handshake()
        test_ca_files(directory)
        os.chdir("/")
    finish()


main()
