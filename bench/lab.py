"""What bench/run and bench/guard share: the programs, a held init, its counters, strace.

Every init runs as PID 1 of a fresh PID namespace that bench/measure makes; it dies with measure,
and measure has an alarm. Only processes started here are signalled, by their number.
"""
import dataclasses
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, 'build')
WARN = ['-Wall', '-Wextra', '-Werror']


class Trouble(Exception):
    """A measurement that could not be made: said, never guessed."""


@dataclasses.dataclass
class Program:
    """One column of the table."""
    name: str
    path: str            # the copy that is measured
    ours: bool
    to_group: tuple = ()  # flags that make it signal the whole group
    flags: tuple = ()     # what it always gets

    def argv(self, *app, group=False):
        return [self.path, *(self.to_group if group else ()), *self.flags, '--', *app]


# name, our binary?, the peer's own name, flags to signal the group
COLUMNS = [
    ('shim', True, 'shim', ()),
    ('as tini', True, 'tini', ('-g',)),
    ('as dumb-init', True, 'dumb-init', ()),
    ('as catatonit', True, 'catatonit', ('-g',)),
    ('tini', False, 'tini', ('-g',)),
    ('tini-static', False, 'tini-static', ('-g',)),
    ('dumb-init', False, 'dumb-init', ()),
    ('catatonit', False, 'catatonit', ('-g',)),
]


def everything(directory):
    """Options that turn on what the peers have nothing to set against."""
    return ('--grace', '30s', '--drain', '0s:5s', '--pre-stop', 'sleep:0s', '--post-stop', 'sleep:0s',
            '--health', '127.0.0.1:18086', '--ready-file', os.path.join(directory, 'ready'),
            '--termination-log', os.path.join(directory, 'message'))


def shim_path():
    return os.environ.get('SHIM') or os.path.join(ROOT, 'shim')


class Lab:
    """The measuring programs and a copy of every init: one file system, nobody else's mappings."""

    def __init__(self, ours_only=False):
        if os.geteuid() != 0:
            raise Trouble('root is needed to make PID namespaces')
        # On the disk that the repository is on: in a tmpfs the files' pages would count as the inits'
        # own memory.
        os.makedirs(BUILD, exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix='shim-bench-', dir=BUILD)
        os.chmod(self.dir, 0o755)
        self.measure = os.path.join(self.dir, 'measure')
        self.payload = os.path.join(self.dir, 'payload')
        self.missing = []
        try:
            self._build()
            self.programs = [p for p in map(self._copy, *zip(*COLUMNS)) if p]
        except BaseException:
            self.close()
            raise
        if ours_only:
            self.programs = [p for p in self.programs if p.ours]
        else:
            plain = next(p for p in self.programs if p.name == 'shim')
            self.programs.insert(1, dataclasses.replace(plain, name='all on',
                                                        flags=everything(self.dir)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def _build(self):
        static = 'musl-gcc' if shutil.which('musl-gcc') else os.environ.get('CC', 'gcc')
        common = ['-std=c11', '-D_GNU_SOURCE', *WARN]
        for command in (
                [os.environ.get('CC', 'gcc'), *common, '-O2', '-o', self.measure,
                 f'{HERE}/measure.c'],
                [static, *common, '-Os', '-static', '-s', '-o', self.payload,
                 f'{HERE}/payload.c', f'{HERE}/herd.c']):
            subprocess.run(command, check=True)

    def _copy(self, name, ours, own_name, to_group):
        source = shim_path() if ours else shutil.which(own_name)
        if not source or not os.path.exists(source):
            self.missing.append(name)
            return None
        folder = os.path.join(self.dir, 'ours' if ours else 'peers')
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, own_name)
        if ours and own_name != 'shim':
            os.symlink('shim', path)
        else:
            shutil.copy(source, path)
            with open(path, 'rb') as f:
                os.fsync(f.fileno())  # pages not yet on the disk would count as private dirty
        return Program(name, path, ours, to_group)

    def version(self, program):
        """What the program says it is, one line; '' when it does not."""
        for flag in ('--version', '-V'):
            run = subprocess.run([program.path, flag], capture_output=True, text=True, timeout=10,
                                 check=False, stdin=subprocess.DEVNULL)
            line = (run.stdout + run.stderr).strip().split('\n')[0]
            if run.returncode == 0 and line:
                return line
        return ''

    def timed(self, mode, count, gap_us, argv, one_cpu=False):
        """Runs measure; each line of its answer as a tuple of numbers."""
        pin = (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if one_cpu else None
        run = subprocess.run([self.measure, mode, str(count), str(gap_us), *argv],
                             capture_output=True, text=True, timeout=150, check=False,
                             start_new_session=True, preexec_fn=pin, stdin=subprocess.DEVNULL)
        if run.returncode:
            raise Trouble(f'{mode}: {run.stderr.strip()}')
        return [tuple(map(int, line.split())) for line in run.stdout.splitlines()]


class Held:
    """An init that stands before its exec until go(), with payload serve as its app."""

    def __init__(self, lab, program, group=False, options=()):
        argv = program.argv(lab.payload, 'serve', group=group)
        argv[1:1] = options
        self.process = subprocess.Popen([lab.measure, 'hold', '0', '0', *argv],
                                        text=True, bufsize=1, start_new_session=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.pid = int(self.expect('pid')[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # the init goes with it
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, line):
        self.process.stdin.write(line + '\n')

    def expect(self, word):
        """The rest of the next line, which must begin with word. Ends with measure's alarm."""
        line = self.process.stdout.readline().split()
        if not line or line[0] != word:
            raise Trouble(f'{word} was expected, this came: {" ".join(line) or "the end"}')
        return line[1:]

    def go(self):
        self.say('go')
        self.expect('ready')
        self.settle()
        return self

    def ask(self, command):
        """(nanoseconds, peak of zombies)."""
        self.say(command)
        answer = self.expect(command.split()[0])
        return int(answer[0]), int(answer[1])

    def end(self, status=0):
        self.say(f'exit {status}')
        return int(self.expect('exit')[0])

    def send(self, signo=signal.SIGUSR1):
        os.kill(self.pid, signo)
        self.expect('signal')

    def read(self, name):
        with open(f'/proc/{self.pid}/{name}', encoding='ascii', errors='replace') as f:
            return f.read()

    def settle(self):
        """Until the init has not run for 30 ms (one that polls fast is taken as it is)."""
        for _ in range(50):
            before = self.counters()
            time.sleep(0.03)
            if self.counters() == before:
                return

    def counters(self):
        """(voluntary switches, all switches, ns of CPU) of the init since its start."""
        status = self.read('status')
        switches = [int(n) for n in re.findall(r'ctxt_switches:\s+(\d+)', status)]
        return switches[0], sum(switches), int(self.read('schedstat').split()[0])

    def smaps(self, field):
        return int(re.search(rf'^{field}:\s+(\d+)', self.read('smaps_rollup'), re.M).group(1))

    def pss_in_all(self):
        """Of the init and of its children that run the same program."""
        total = self.smaps('Pss')
        for child in self.read(f'task/{self.pid}/children').split():
            if os.path.samefile(f'/proc/{child}/exe', f'/proc/{self.pid}/exe'):
                with open(f'/proc/{child}/smaps_rollup', encoding='ascii') as f:
                    total += int(re.search(r'^Pss:\s+(\d+)', f.read(), re.M).group(1))
        return total

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))


class Strace:
    """Counts the system calls of one held init, and of nobody else."""

    def __init__(self, lab, held):
        self.path = os.path.join(lab.dir, f'strace.{held.pid}')
        self.process = subprocess.Popen(['strace', '-qq', '-o', self.path, '-p', str(held.pid)],
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        for _ in range(100):
            if not re.search(r'^TracerPid:\s+0$', held.read('status'), re.M):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        raise Trouble('strace could not attach: ' + self.process.communicate()[1].strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)

    def calls(self):
        """Names of the calls so far, in order."""
        with open(self.path, encoding='ascii', errors='replace') as f:
            return re.findall(r'^(\w+)\(', f.read(), re.M)


def start_exit_calls(lab, program):
    """Names of an init's system calls, its app does nothing, from execve to exit_group."""
    with Held(lab, program) as held:
        with Strace(lab, held) as strace:
            held.say('go')
            held.expect('ready')
            held.end()
            strace.process.communicate(timeout=20)
            calls = strace.calls()
    if 'execve' not in calls or calls[-1] not in ('exit_group', 'exit'):
        raise Trouble(f'strace saw no whole life: {calls}')
    return calls[calls.index('execve'):]


def repeated_calls(lab, program, action, orphans=0, few=5, many=50):
    """System calls for each of many actions, and their names. action(held, n) does it n times; the
    first few do not count, nor do the orphans that the init is shown before."""
    with Held(lab, program).go() as held:
        held.ask(f'paced {orphans}')
        action(held, 2)
        with Strace(lab, held) as strace:
            action(held, few)
            time.sleep(0.03)
            before = len(strace.calls())
            action(held, many)
            time.sleep(0.03)
            calls = strace.calls()[before:]
    return len(calls) / many, calls


def signal_action(held, n):
    for _ in range(n):
        held.send()
        time.sleep(0.001)  # the init is back in its wait


def orphan_action(held, n):
    held.ask(f'paced {n}')


def stripped_size(lab, path):
    copy = os.path.join(lab.dir, 'stripped')
    if shutil.which('strip'):
        subprocess.run(['strip', '-o', copy, path], check=True)
        return os.path.getsize(copy)
    return os.path.getsize(path)


def has_tls(path):
    """By a label of TLS 1.2's key derivation, which no TLS can do without."""
    with open(path, 'rb') as f:
        return b'key expansion' in f.read()


def size_limit_kib(path):
    return 220 if has_tls(path) else 100


def kernel():
    return tuple(int(n) for n in re.findall(r'\d+', platform.release())[:2])


def machine():
    """The circumstances that a table without them means nothing."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as f:
        model = re.search(r'^model name\s*:\s*(.*)$', f.read(), re.M)
    return {'kernel': platform.release(), 'machine': platform.machine(),
            'cpu': model.group(1) if model else 'unknown', 'cpus': len(os.sched_getaffinity(0)),
            'load': os.getloadavg()[0], 'date': time.strftime('%Y-%m-%d')}
