"""What each part of an expression means: a whitelist of nodes, operators, names and lags."""

import ast

from core.trading.strategy import functions
from core.trading.strategy.findings import suggestion
from core.trading.strategy.lexing import ALLOWED, Lexed
from core.trading.strategy.program import Op
from core.trading.strategy.scope import (
    MAX_LAG,
    POSITION_NAMES,
    PRICES,
    Bounds,
    ParameterUse,
    Scope,
)
from core.trading.strategy.tree import (
    Binary,
    Count,
    Lag,
    Let,
    Number,
    Output,
    Parameter,
    Position,
    Price,
    Typed,
    Unary,
    chain,
    wrap,
)

_ARITHMETIC: dict[type[ast.operator], Op] = {
    ast.Add: Op.ADD,
    ast.Sub: Op.SUB,
    ast.Mult: Op.MUL,
    ast.Div: Op.DIV,
}
_METHODS: dict[type[ast.expr], str] = {
    ast.Constant: "_constant",
    ast.Name: "_name",
    ast.Attribute: "_attribute",
    ast.BoolOp: "_logic",
    ast.UnaryOp: "_unary",
    ast.BinOp: "_arithmetic",
    ast.Compare: "_comparison",
    ast.Subscript: "_lag",
}
_COMPARISONS: dict[type[ast.cmpop], Op] = {
    ast.Lt: Op.LT,
    ast.LtE: Op.LE,
    ast.Gt: Op.GT,
    ast.GtE: Op.GE,
    ast.Eq: Op.EQ,
    ast.NotEq: Op.NE,
}


class Meaning:
    """The walk over one expression, from Python's nodes to ours."""

    def __init__(self, lexed: Lexed, path: str, scope: Scope, *, position: bool) -> None:
        self.lexed = lexed
        self.path = path
        self.scope = scope
        self.position = position

    def fault(self, node: ast.expr, code: str, message: str, hint: str = "") -> None:
        """Note a fault at a node."""
        at = node.col_offset + self.lexed.lead
        self.scope.findings.add(self.path, code, message, hint, at)

    def typed(self, node: ast.expr) -> Typed | None:
        """Type one node of the grammar, None with faults noted."""
        if isinstance(node, ast.Call):
            return functions.call(self, node)
        if type(node) in _METHODS:
            typed: Typed | None = getattr(self, _METHODS[type(node)])(node)
            return typed
        what = type(node).__name__
        self.fault(node, "not_allowed", f"{what} is not part of the language.", ALLOWED)
        return None

    def number(self, node: ast.expr) -> Typed | None:
        """Type a node that must be a number."""
        return self._of_kind(node, condition=False)

    def condition(self, node: ast.expr) -> Typed | None:
        """Type a node that must be a condition."""
        return self._of_kind(node, condition=True)

    def _of_kind(self, node: ast.expr, *, condition: bool) -> Typed | None:
        typed = self.typed(node)
        if typed is None or typed.condition == condition:
            return typed
        needed, found = ("condition", "number") if condition else ("number", "condition")
        hint = "Compare it: `x > 0`." if condition else "Use the numbers that it compares."
        self.fault(node, "type", f"This is a {found}, and a {needed} is needed here.", hint)
        return None

    def count(self, node: ast.expr, *, code: str, low: int) -> Count | None:
        """Type a number of bars: a whole number or a parameter, from `low` to the longest lag.

        `code`: the fault of what is no such number; a lag below 0 looks ahead.
        """
        bounds = Bounds(low, MAX_LAG, whole=True)
        if isinstance(node, ast.Name) and node.col_offset in self.lexed.parameters:
            return self._counted_parameter(node, bounds, code)
        inner, sign = node, 1
        while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub | ast.UAdd):
            sign = -sign if isinstance(inner.op, ast.USub) else sign
            inner = inner.operand
        value = inner.value if isinstance(inner, ast.Constant) else None
        ahead = "A bar that has not closed yet cannot be read."
        if code == "bad_lag" and sign < 0 and value != 0:
            self.fault(node, "looks_ahead", ahead, "Lags count back: x[1] is the bar before.")
            return None
        if type(value) is not int or not bounds.takes(sign * value):
            message = "This is no number of bars that can stand here."
            self.fault(node, code, message, f"Write {bounds.described()}, or a $parameter.")
            return None
        return value

    def _counted_parameter(self, node: ast.Name, bounds: Bounds, code: str) -> Count | None:
        name = node.id[1:]
        if not self._knows_parameter(node):
            return None
        rule = self.scope.parameters[name]
        ahead = code == "bad_lag" and rule is not None and min(rule.extremes()) < 0
        use = ParameterUse(
            name, self.path, bounds, "looks_ahead" if ahead else code, self._at(node)
        )
        return name if self.scope.use(use) else None

    def _at(self, node: ast.expr) -> int:
        return node.col_offset + self.lexed.lead

    def _knows_parameter(self, node: ast.Name) -> bool:
        name = node.id[1:]
        self.scope.used.add(name)
        if name in self.scope.parameters:
            return True
        hint = suggestion(name, self.scope.parameters, f"Declare it at /params/{name}.")
        self.fault(node, "unknown_param", f"There is no parameter ${name}.", hint)
        return False

    def _constant(self, node: ast.Constant) -> Typed | None:
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Typed(Number(float(value)), whole=value == int(value))
        hint = 'Only session("09:30-16:00") takes text.' if isinstance(value, str) else ALLOWED
        self.fault(node, "not_allowed", "Only numbers may be written here.", hint)
        return None

    def _name(self, node: ast.Name) -> Typed | None:
        if node.col_offset in self.lexed.parameters:
            return self._parameter(node)
        if node.id in PRICES:
            return Typed(Price(node.id))
        if node.id in POSITION_NAMES:
            return self._position(node)
        if node.id in self.scope.inputs:
            return self._input(node, node.id, None)
        if node.id in self.scope.lets:
            return self._let(node)
        self._unknown(node)
        return None

    def _parameter(self, node: ast.Name) -> Typed | None:
        if not self._knows_parameter(node):
            return None
        rule = self.scope.parameters[node.id[1:]]
        return Typed(Parameter(node.id[1:]), whole=rule is not None and rule.whole)

    def _unknown(self, node: ast.Name) -> None:
        if node.id in functions.NAMES:
            hint = f"Write {functions.signature(node.id)}."
            self.fault(node, "type", f"{node.id} is a function.", hint)
            return
        known = [*PRICES, *POSITION_NAMES, *self.scope.inputs, *self.scope.lets]
        hint = suggestion(node.id, known, "Declare it under inputs or let, or write $ for a param.")
        self.fault(node, "unknown_name", f"There is nothing named {node.id[:40]}.", hint)

    def _position(self, node: ast.Name) -> Typed | None:
        if not self.position:
            self._refuse_position(node, node.id)
            return None
        state = POSITION_NAMES[node.id]
        whole = node.id in {"position", "bars_held"}
        return Typed(Position(state), whole=whole, on_position=True)

    def _refuse_position(self, node: ast.expr, name: str) -> None:
        message = f"{name} depends on the position, which cannot be read here."
        hint = "The position may be read in entry and exit conditions only."
        self.fault(node, "not_allowed", message, hint)

    def _let(self, node: ast.Name) -> Typed | None:
        known = self.scope.lets[node.id]
        if known is None:
            return None
        if known.on_position and not self.position:
            self._refuse_position(node, node.id)
            return None
        return Typed(Let(node.id), known.condition, known.whole, known.on_position, known.depth + 1)

    def _input(self, node: ast.expr, name: str, output: str | None) -> Typed | None:
        known = self.scope.inputs[name]
        if known is None:
            return None
        choices = ", ".join(f"{name}.{choice}" for choice in known.outputs)
        if output is None and len(known.outputs) > 1:
            self.fault(node, "needs_output", f"{name} has several outputs.", f"Write {choices}.")
            return None
        if output is not None and output not in known.outputs:
            self.fault(node, "unknown_output", f"{name} has no output {output}.", f"Use {choices}.")
            return None
        index = 0 if output is None else known.outputs.index(output)
        return Typed(Output(name, index), whole=known.whole[index])

    def _attribute(self, node: ast.Attribute) -> Typed | None:
        owner = node.value
        if isinstance(owner, ast.Name) and owner.col_offset not in self.lexed.parameters:
            if owner.id in self.scope.inputs:
                return self._input(node, owner.id, node.attr)
            if owner.id not in {*PRICES, *POSITION_NAMES, *self.scope.lets}:
                hint = suggestion(owner.id, self.scope.inputs, "Declare it under inputs.")
                self.fault(node, "unknown_name", f"There is no input {owner.id[:40]}.", hint)
                return None
        self.fault(node, "not_allowed", "Only inputs have outputs after a dot.", ALLOWED)
        return None

    def _logic(self, node: ast.BoolOp) -> Typed | None:
        parts = [self.condition(value) for value in node.values]
        op = Op.AND if isinstance(node.op, ast.And) else Op.OR
        return chain(op, parts)

    def _unary(self, node: ast.UnaryOp) -> Typed | None:
        if isinstance(node.op, ast.Not):
            x = self.condition(node.operand)
            return x and wrap(Unary(Op.NOT, x.node), x, condition=True)
        if isinstance(node.op, ast.USub):
            x = self.number(node.operand)
            return x and wrap(Unary(Op.NEG, x.node), x, whole=x.whole)
        if isinstance(node.op, ast.UAdd):
            return self.number(node.operand)
        self.fault(node, "not_allowed", "This operator is not part of the language.", ALLOWED)
        return None

    def _arithmetic(self, node: ast.BinOp) -> Typed | None:
        op = _ARITHMETIC.get(type(node.op))
        if op is None:
            at = node.left.end_col_offset or 0
            while self.lexed.source[at] in " )":
                at += 1
            message = f"The operator {type(node.op).__name__} is not part of the language."
            findings = self.scope.findings
            findings.add(self.path, "not_allowed", message, ALLOWED, at + self.lexed.lead)
            return None
        left, right = self.number(node.left), self.number(node.right)
        if left is None or right is None:
            return None
        whole = op is not Op.DIV and left.whole and right.whole
        return wrap(Binary(op, left.node, right.node), left, right, whole=whole)

    def _comparison(self, node: ast.Compare) -> Typed | None:
        operands = [self.number(operand) for operand in (node.left, *node.comparators)]
        parts: list[Typed | None] = []
        for index, operator in enumerate(node.ops):
            op = _COMPARISONS.get(type(operator))
            left, right = operands[index], operands[index + 1]
            if op is None:
                what = type(operator).__name__
                self.fault(node, "not_allowed", f"{what} is not part of the language.", ALLOWED)
            if op is None or left is None or right is None:
                parts.append(None)
                continue
            if op in {Op.EQ, Op.NE} and not (left.whole and right.whole):
                self._warn_equality(node)
            parts.append(wrap(Binary(op, left.node, right.node), left, right, condition=True))
        return chain(Op.AND, parts)

    def _warn_equality(self, node: ast.expr) -> None:
        message = "Two computed numbers are hardly ever exactly equal."
        hint = "Compare with a tolerance: abs(a - b) < 0.01."
        self.scope.findings.warn(self.path, "float_equality", message, hint, self._at(node))

    def _lag(self, node: ast.Subscript) -> Typed | None:
        x = self.typed(node.value)
        bars = self.count(node.slice, code="bad_lag", low=0)
        if x is None or bars is None:
            return None
        return wrap(Lag(x.node, bars), x, condition=x.condition, whole=x.whole)
