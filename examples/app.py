#!/usr/bin/env python3
"""A small web server that stops the way a server should: on SIGTERM it ends its work and says so.

    app.py [PORT [ADDRESS]]     8080 on all addresses; port 0: any that is free

It stands for your application in Dockerfile.example and demo.sh.
"""

import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    address = sys.argv[2] if len(sys.argv) > 2 else ""
    server = ThreadingHTTPServer((address, port), Hello)
    server.daemon_threads = False  # server_close() waits for the requests that are being answered

    def stop(*_):
        print("app: SIGTERM handler: no new connections, the open requests end", flush=True)
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"app: listening on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    print("app: all done, goodbye", flush=True)


if __name__ == "__main__":
    main()
