"""Every row by its name: its kind of fault, a colon, and where it strikes."""

from tests.faults.rows import network, processes, servers

ROWS = processes.ROWS | servers.ROWS | network.ROWS
