"""What evaluations of one strategy with different parameters have in common, computed once."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from threading import Lock
from typing import Any

from core.trading.strategy.rules import Strategy
from core.trading.strategy.tree import Lag, Let, Node, Output, Parameter, Window, children


class Shared:
    """Columns by what they are and by the values of the parameters that they depend on.

    Safe among threads; two that miss the same column at once both compute it. `swept`: the
    parameters whose values differ between evaluations. At most `most_bytes` are kept, the least
    recently used go first.
    """

    def __init__(self, strategy: Strategy, swept: Iterable[str], most_bytes: int) -> None:
        self.strategy = strategy
        self.bytes_kept = 0
        self._swept = frozenset(swept)
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()
        self.swept_in = cache(self._swept_in)
        self.swept_in_input = cache(self._swept_in_input)

    def key(self, what: Hashable, names: tuple[str, ...], values: Mapping[str, float]) -> Any:
        """Answer the key of a column, None where no other evaluation will ask for it again.

        `names`: the swept parameters that it depends on.
        """
        if names and len(names) == len(self._swept):
            return None
        return (what, *[values[name] for name in names])

    def get(self, key: Hashable) -> Any:
        """Answer what is kept under a key, None where nothing is."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, and let go of others if need be."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = (value, size)
            self.bytes_kept += size
            while self.bytes_kept > self._most_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self.bytes_kept -= freed

    def swept_in_rules(self, *parts: Any) -> tuple[str, ...]:
        """Answer the swept parameters in parts of a document, in order: rules, trees, numbers."""
        found: set[str] = set()
        for part in parts:
            if isinstance(part, Node):
                found.update(self.swept_in(part))
            elif isinstance(part, tuple):
                found.update(self.swept_in_rules(*part))
            elif is_dataclass(part):
                found.update(
                    self.swept_in_rules(*(getattr(part, item.name) for item in fields(part)))
                )
        return tuple(sorted(found))

    def _swept_in_input(self, name: str) -> tuple[str, ...]:
        rule = self.strategy.inputs[name]
        return self.swept_in_rules(tuple(rule.arguments.values()), rule.sources)

    def _swept_in(self, node: Node) -> tuple[str, ...]:
        found: set[str] = set()
        match node:
            case Parameter(name):
                found.add(name)
            case Output(name, _):
                found.update(self.swept_in_input(name))
            case Let(name):
                found.update(self.swept_in(self.strategy.lets[name].node))
            case Lag(_, str(name)) | Window(_, _, str(name)):
                found.add(name)
            case _:
                pass
        for part in children(node):
            found.update(self.swept_in(part))
        return tuple(sorted(found & self._swept))
