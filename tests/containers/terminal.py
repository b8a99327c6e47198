"""A person at a terminal: starts a program on a pty of its own, types, and reads what comes."""

import fcntl
import os
import select
import struct
import subprocess
import termios
import time


class Terminal:
    def __init__(self, argv, rows=24, columns=80):
        self.master, slave = os.openpty()
        self.resize(rows, columns)
        self.seen = ""
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def read_some(self, seconds):
        """False at the end of the terminal, which is the end of the program."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, text, seconds=15):
        """Waits for text; what comes before it and the text itself are used up."""
        deadline = time.monotonic() + seconds
        alive = True
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert alive and left > 0, f"no {text!r} on the terminal, but: {self.seen!r}"
            alive = self.read_some(left)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def wait(self, seconds=15):
        """The program's exit code; seen holds the rest of what it wrote."""
        deadline = time.monotonic() + seconds
        while self.read_some(0.1) and self.process.poll() is None:
            assert time.monotonic() < deadline, f"the program does not end; last on the terminal: {self.seen!r}"
        return self.process.wait(max(0.1, deadline - time.monotonic()))
