"""What evaluations of one strategy with different parameters have in common, computed once."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import count
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from core.trading.strategy.rules import Strategy
from core.trading.strategy.tree import Lag, Let, Node, Output, Parameter, Window, children

_MOST_PLACES = 10_000


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
        self._kept: OrderedDict[Hashable, tuple[Any, dict[int, int]]] = OrderedDict()
        self._keepers: Counter[int] = Counter()
        self._lock = Lock()
        self._places: dict[int, tuple[int, tuple[str, ...], Node]] = {}
        self._numbers: dict[Node, int] = {}
        self._next = count()
        self.swept_in = cache(self._swept_in)
        self.swept_in_input = cache(self._swept_in_input)

    def place(self, node: Node) -> tuple[int, tuple[str, ...]]:
        """Answer a number for a node, one for all that are equal, and its swept parameters.

        To hash a tree takes longer than to look it up, so its identity is looked up first.
        """
        found = self._places.get(id(node))
        if found is None or found[2] is not node:
            number = self._numbers.setdefault(node, next(self._next))
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            found = self._places[id(node)] = (number, self.swept_in(node), node)
        return found[0], found[1]

    def once(
        self,
        what: Hashable,
        names: tuple[str, ...],
        values: Mapping[str, float],
        compute: Callable[[], Any],
    ) -> Any:
        """Answer a column, or several, as computed for these values by whoever came first.

        `names`: the swept parameters that it depends on. What depends on all of them nobody else
        will ask for, and it is not kept.
        """
        if names and len(names) == len(self._swept):
            return compute()
        key = (what, *[values[name] for name in names])
        found = self.get(key)
        if found is None:
            found = compute()
            self.put(key, found, found if isinstance(found, tuple) else (found,))
        return found

    def get(self, key: Hashable) -> Any:
        """Answer what is kept under a key, None where nothing is."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Any, columns: Iterable[NDArray[Any]]) -> None:
        """Keep a value that consists of these columns, and let go of others if need be.

        What several keep, as an input and the number that it is, is counted once.
        """
        with self._lock:
            if key in self._kept:
                return
            sizes = {id(column): column.nbytes for column in columns}
            self._kept[key] = (value, sizes)
            self.bytes_kept += sum(sizes[one] for one in sizes if not self._keepers[one])
            self._keepers.update(sizes.keys())
            while self.bytes_kept > self._most_bytes:
                self._let_go()

    def _let_go(self) -> None:
        """Let go of what was longest not asked for."""
        _, (_, sizes) = self._kept.popitem(last=False)
        self._keepers.subtract(sizes.keys())
        for one, size in sizes.items():
            if not self._keepers[one]:
                del self._keepers[one]
                self.bytes_kept -= size

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
