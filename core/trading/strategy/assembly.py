"""Conditions on the position turned into code for the kernel's stack machine.

Each condition keeps its own cells: the kernel runs every non-empty range at every bar, so what
a lag or a window looks back at has been stored by the same range.
"""

from collections.abc import Sequence

import numpy as np

from core.trading.bars.series import FloatArray
from core.trading.strategy.evaluation import Evaluation
from core.trading.strategy.program import Op, Program
from core.trading.strategy.tree import (
    BarsSince,
    Binary,
    Cross,
    Lag,
    Let,
    Node,
    Number,
    Parameter,
    Position,
    Unary,
    Window,
    children,
)


class Assembler:
    """Writes one program; `evaluation` gives the parts that do not read the position."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.code: list[tuple[int, int, int]] = []
        self.constants: list[float] = []
        self.columns: list[FloatArray] = []
        self.cells = 0
        self.deepest = 0
        self._height = 0
        self._column_of: dict[Node, int] = {}
        self._cell_of: dict[Node, int] = {}

    def reads_position(self, node: Node) -> bool:
        """Say whether a node depends on the position, by itself or by way of a let."""
        if isinstance(node, Let):
            return self.evaluation.strategy.lets[node.name].on_position
        return isinstance(node, Position) or any(map(self.reads_position, children(node)))

    def assemble(self, conditions: Sequence[Node | None], entered: FloatArray | None) -> Program:
        """Write the four conditions; None for one that is ready-made.

        `entered`: float64[n] that entries are also bound to (the session), None for no bound.
        """
        spans = [self._condition(index, node, entered) for index, node in enumerate(conditions)]
        n = len(self.evaluation.frame.bars)
        return Program(
            code=np.array(self.code, np.int64).reshape(-1, 3),
            spans=np.array(spans, np.int64),
            constants=np.array(self.constants, np.float64),
            columns=np.array(self.columns, np.float64).reshape(-1, n),
            cells=self.cells,
            depth=self.deepest,
        )

    def _condition(
        self, index: int, node: Node | None, entered: FloatArray | None
    ) -> tuple[int, int]:
        start = len(self.code)
        if node is not None:
            self._cell_of = {}
            self._height = 0
            self._emit(node)
            is_entry = index % 2 == 0
            if is_entry and entered is not None:
                self._push(Op.COLUMN, self._column(entered))
                self._join(Op.AND)
        return start, len(self.code)

    def _push(self, op: Op, a: int, b: int = 0) -> None:
        self.code.append((op, a, b))
        self._height += 1
        self.deepest = max(self.deepest, self._height)

    def _join(self, op: Op) -> None:
        self.code.append((op, 0, 0))
        self._height -= 1

    def _column(self, values: FloatArray) -> int:
        self.columns.append(values)
        return len(self.columns) - 1

    def _emit(self, node: Node) -> None:
        if not self.reads_position(node):
            self._emit_ready(node)
            return
        match node:
            case Position(state):
                self._push(Op.STATE, state)
            case Let(_):
                self._push(Op.CELL, self._stored(node))
            case Unary(op, x):
                self._emit(x)
                self.code.append((op, 0, 0))
            case Binary(op, left, right):
                self._emit(left)
                self._emit(right)
                self._join(op)
            case Cross():
                self._emit(node.spelled_out())
            case Lag(x, bars):
                self._push(Op.CELL, self._stored(x), self.evaluation.count(bars))
            case Window(op, x, length):
                self._push(op, self._stored(x), self.evaluation.count(length))
            case BarsSince(x):
                self._push(Op.BARS_SINCE, self._stored(x))
            case _:
                raise TypeError(f"{type(node).__name__} cannot read the position")

    def _emit_ready(self, node: Node) -> None:
        if isinstance(node, Number | Parameter):
            self.constants.append(float(self.evaluation.number(node)))
            self._push(Op.CONST, len(self.constants) - 1)
            return
        if node not in self._column_of:
            self._column_of[node] = self._column(self.evaluation.column(node))
        self._push(Op.COLUMN, self._column_of[node])

    def _stored(self, node: Node) -> int:
        """Answer the cell that holds a node's values, written once in each range."""
        if node not in self._cell_of:
            inner = self.evaluation.strategy.lets[node.name].node if isinstance(node, Let) else node
            self._emit(inner)
            cell = self.cells
            self.cells += 1
            self._cell_of[node] = cell
            self.code += [(Op.STORE, cell, 0), (Op.POP, 0, 0)]
            self._height -= 1
        return self._cell_of[node]
