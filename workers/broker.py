"""The broker with every actor registered; a unit imports it before it takes a message."""

from importlib import import_module

from core.jobs.broker import get_broker

ACTORS = ("workers.actors.jobs", "workers.actors.tenancy", "workers.actors.trading")

broker = get_broker()
for _module in ACTORS:
    import_module(_module)
