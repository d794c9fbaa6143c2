"""A launcher and three hosts on one machine, each in namespaces of its own (see hosts.sh)."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("hosts.sh")
HOSTS = {"head": "192.0.2.10", "left": "192.0.2.11", "right": "192.0.2.12"}
NEEDED = (
    "ip",
    "ss",
    "sshd",
    "ssh",
    "ssh-keygen",
    "rsync",
    "make",
    "curl",
    "setpriv",
    "unshare",
    "nsenter",
)
NAMESPACES = ("--net", "--pid", "--mount", "--uts", "--ipc")
SSHD = """HostKey /mnt/lab/sshd/key
PermitRootLogin no
PasswordAuthentication no
PidFile none
"""
USER = 1000  # that the hosts' own user has


def missing() -> str:
    """What this machine lacks for a lab; empty if it can have one."""
    if os.getuid() != 0:
        return "needs root, to make namespaces and a bridge"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [tool for tool in NEEDED if not shutil.which(tool, path=path)]
    if absent:
        return f"needs {', '.join(absent)}: apt-get install openssh-server rsync iproute2 curl make"
    probe = "ip link add lan type bridge && mount -t tmpfs tmpfs /mnt"
    tried = subprocess.run(
        ["unshare", *NAMESPACES, "--fork", "--mount-proc", "sh", "-c", probe],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return f"this machine gives no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class Lab:
    """Use as a context manager. When it ends, or its process does, so does all that ran in it.

    Args:
        folder: an empty one; holds the homes, the shared folder and the logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared = folder / "nsa"  # every host sees it at /mnt/nsa
        self.launcher = folder / "launcher"
        self._home = pwd.getpwuid(0).pw_dir

    def __enter__(self) -> "Lab":
        for name in ("nsa", "sshd", "launcher", *HOSTS):
            (self.folder / name).mkdir(mode=0o700)
        os.chown(self.shared, USER, USER)
        key = self.folder / "sshd" / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (self.folder / "sshd" / "config").write_text(SSHD)
        folders = {"CHECKOUT": str(ROOT), "VENV": sys.prefix, "PYTHON": sys.base_prefix}
        with (self.folder / "lab.log").open("w") as log:
            self._outer = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES,
                 "--fork", "--kill-child", "--mount-proc", "bash", SCRIPT, "lab", self.folder],
                env={"HOME": self._home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **folders},
                stdin=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        try:
            wait_for(self._listening, "sshd on all hosts", 120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._outer.kill()
        self._outer.wait()

    def let_in(self, key: Path) -> None:
        """Have every host take this public key, as ssh-copy-id does with a password."""
        for host in HOSTS:
            folder = self.folder / host / ".ssh"
            folder.mkdir(mode=0o700)
            (folder / "authorized_keys").write_bytes(key.read_bytes())
            for path in (folder, folder / "authorized_keys"):
                os.chown(path, USER, USER)

    def run(self, command: str, on: str = "launcher", timeout: float = 300) -> str:
        """What a command on a host, or on the launcher in the checkout, writes; it must succeed."""
        done = subprocess.run(
            self._enter(command, on), capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise AssertionError(f"{command!r} on {on}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done.stdout

    def start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        """The same on the launcher, in the background; a failure is the caller's to notice."""
        with log.open("w") as out:
            entered = self._enter(command, "launcher")
            return subprocess.Popen(entered, stdout=out, stderr=subprocess.STDOUT)

    def hold(self, host: str) -> None:
        """Stop a host's workers where they are, until they are let go."""
        for worker in self._workers(host):
            worker.suspend()

    def let_go(self, host: str) -> None:
        """Let them go on."""
        for worker in self._workers(host):
            worker.resume()

    def unplug(self, host: str) -> None:
        """Cut a host off without a word, as a lost power line does, and end all that ran on it."""
        self.run(f"ip link set {host} down")
        self._init(host).kill()

    def ray_processes(self, host: str) -> list[str]:
        """The command lines of Ray on a host."""
        lines = [" ".join(_words(each)) for each in self._init(host).children(recursive=True)]
        return [line for line in lines if "/ray/" in line or line.startswith("ray::")]

    def _workers(self, host: str) -> list[psutil.Process]:
        processes = self._init(host).children(recursive=True)
        return [each for each in processes if " ".join(_words(each)).startswith("ray::")]

    def namespaces(self) -> set[str]:
        """Names of the namespaces that launcher and hosts have to themselves."""
        inits = [self._init(name) for name in ("launcher", *HOSTS)]
        kinds = [option.removeprefix("--").replace("mount", "mnt") for option in NAMESPACES]
        folders = [Path("/proc") / str(init.pid) / "ns" for init in inits]
        return {str((folder / kind).readlink()) for folder in folders for kind in kinds}

    def _enter(self, command: str, on: str) -> list[str]:
        environment = [f"HOME={self._home}", f"PATH={sys.prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        target = ["nsenter", "--target", str(self._init(on).pid), *NAMESPACES]
        return [*target, "env", "-i", *environment, "bash", "-c", f"cd {ROOT}; {command}"]

    def _init(self, name: str) -> psutil.Process:
        wanted = ["lab", str(self.folder)] if name == "launcher" else ["host", name]
        for process in psutil.Process(self._outer.pid).children(recursive=True):
            if _words(process) == ["bash", str(SCRIPT), *wanted]:
                return process
        raise AssertionError(f"{name} does not run: {(self.folder / 'lab.log').read_text()}")

    def _listening(self) -> bool:
        if self._outer.poll() is not None:
            raise AssertionError(f"no lab: {(self.folder / 'lab.log').read_text()}")
        logs = [self.folder / f"{name}.log" for name in HOSTS]
        return all(log.exists() and "Server listening" in log.read_text() for log in logs)


def _words(process: psutil.Process) -> list[str]:
    """Its command line; empty if it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def wait_for(condition, what: str, seconds: float):
    """What the condition returns, once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")
