"""As whom the embedded servers run: Postgres refuses root, and `nobody` cannot enter its home."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core.errors import ConfigurationError
from core.processes import die_with_parent

_ROOTS_FOLDER = Path("/var/lib/neozork")


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that owns the servers' folders; `name` None is the caller's own."""

    name: str | None
    home: Path

    @classmethod
    def current(cls) -> "Account":
        """Answer `nobody` for root, else the caller, with the folder where data may live."""
        if os.geteuid() == 0:
            return cls("nobody", _ROOTS_FOLDER)
        data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return cls(None, Path(data_home) / "neozork")

    def fresh_folder(self, prefix: str) -> Path:
        """Make a new folder that the account owns and can reach, and answer it."""
        self._open_home()
        return self.own(Path(tempfile.mkdtemp(prefix=prefix, dir=self.home)))

    def own(self, folder: Path) -> Path:
        """Make a folder of mode 0700 that the account owns and can reach, and answer it."""
        self._open_home()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.name is not None:
            entry = pwd.getpwnam(self.name)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        folder.chmod(0o700)
        return folder

    def _open_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        if self.name is not None:
            self.home.chmod(0o755)

    def user_ids(self) -> set[int]:
        """Answer who may own the folders: the caller, and the account where it is another."""
        other = {pwd.getpwnam(self.name).pw_uid} if self.name is not None else set()
        return {os.geteuid()} | other

    def refuse_unreachable(self, folder: Path) -> None:
        """Open a folder to the account; ConfigurationError where one above it stays closed."""
        if self.name is None:
            return
        folder.chmod(0o755)
        closed = [p for p in folder.parents if not p.stat().st_mode & stat.S_IXOTH]
        if closed:
            raise ConfigurationError(
                f"The servers run as {self.name}, who cannot enter {closed[-1]}. Take a folder "
                f"below {self.home}."
            )

    def reachable(self, binaries: Path, *, key: str) -> Path:
        """Answer a place from which the account may run the programs in a package's folder.

        Root's virtual environment may lie where `nobody` cannot go: then the folder is copied
        once, under a key that changes with its version.
        """
        if self.name is None:
            return binaries
        copy = self.home / "programs" / key
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.parent.chmod(0o755)
            fresh = Path(tempfile.mkdtemp(dir=copy.parent))
            shutil.copytree(binaries, fresh / "copy", symlinks=True)
            _open_to_all(fresh)
            try:
                (fresh / "copy").rename(copy)
            except OSError:
                if not copy.exists():  # anything but another process being first
                    raise
            shutil.rmtree(fresh)
        return copy

    def run(self, command: Sequence[str]) -> None:
        """Run a program to its end as the account; CalledProcessError carries its output."""
        subprocess.run(
            command, check=True, capture_output=True, text=True, cwd="/", **self._identity()
        )

    def spawn(
        self, command: Sequence[str], *, log: IO[bytes], dies_by: signal.Signals
    ) -> subprocess.Popen[bytes]:
        """Start a server as the account; it gets the signal `dies_by` when this process dies."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            preexec_fn=die_with_parent(dies_by),
            **self._identity(),
        )

    def _identity(self) -> dict[str, Any]:
        if self.name is None:
            return {}
        entry = pwd.getpwnam(self.name)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
