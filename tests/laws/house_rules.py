"""`python tests/laws/house_rules.py [ROOT]`: the rules of this house that no linter knows.

Each finding says where, and what to do instead. Exit status 1 where there is one.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PRODUCT = ("core", "web", "workers", "scheduler", "migrations")
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
LONGEST_FILE, USUAL_FILE = 400, 300
LONGEST_FUNCTION, USUAL_FUNCTION = 60, 40
USUALLY = 0.95
MOST_COMMENTS = 0.06
# Per 1,000 lines of the whole tree, each kind for itself.
MOST_SUPPRESSIONS = 0.1
LONGEST_ACTOR = 10
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
_SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore)")


@dataclass(frozen=True)
class Module:
    """One file: its path from the root, its text, and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return self.text.count("\n")


def modules(root: Path) -> list[Module]:
    """Read every Python file that is ours and not generated, in the order of their paths."""
    found = []
    for folder in (*PRODUCT, "tests", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            if "versions" not in path.parts:
                text = path.read_text(encoding="utf-8")
                found.append(Module(str(path.relative_to(root)), text, ast.parse(text)))
    return found


def in_product(module: Module) -> bool:
    return module.path.startswith(tuple(f"{name}/" for name in PRODUCT))


def commits(found: list[Module]) -> Iterator[str]:
    for module in filter(in_product, found):
        if module.path.startswith("core/tenancy/") or module.path.endswith("/env.py"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".commit"):
                yield at(module, node, "only open_session commits: end its block instead")


def raw_sql(found: list[Module]) -> Iterator[str]:
    """Tables may say SQL in their definition; what runs is built, or is a migration's."""
    for module in filter(in_product, found):
        elsewhere = not module.path.startswith(("core/tenancy/", "migrations/"))
        if not elsewhere or is_models(module) or not imports_from(module, "sqlalchemy", "text"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "text":
                yield at(module, node, "build the statement with select, insert, update")


def clocks(found: list[Module]) -> Iterator[str]:
    for module in filter(in_product, found):
        if module.path == "core/clock.py":
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in CLOCKS:
                yield at(module, node, "take the time as an argument, or from core.clock")


def names(found: list[Module]) -> Iterator[str]:
    for module in found:
        if NAMELESS & set(Path(module.path).with_suffix("").parts):
            yield f"{module.path}: name the file by what it does"


def file_sizes(found: list[Module]) -> Iterator[str]:
    for module in found:
        if module.lines > LONGEST_FILE:
            yield f"{module.path}: {module.lines} lines; split it where it turns to another thought"
    long = [module for module in found if module.lines > USUAL_FILE]
    if len(long) > (1 - USUALLY) * len(found):
        listed = ", ".join(module.path for module in long)
        yield f"more than 5 % of the files have over {USUAL_FILE} lines: {listed}"


def function_sizes(found: list[Module]) -> Iterator[str]:
    sizes = []
    for module in found:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                sizes.append(size)
                if size > LONGEST_FUNCTION:
                    yield at(module, node, f"{node.name} has {size} lines; split it")
    long = sum(size > USUAL_FUNCTION for size in sizes)
    if long > (1 - USUALLY) * len(sizes):
        yield f"{long} of {len(sizes)} functions have over {USUAL_FUNCTION} lines: split some"


def comments(found: list[Module]) -> Iterator[str]:
    for module in filter(in_product, found):
        count = sum(
            token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
            for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        )
        if count > max(2, MOST_COMMENTS * module.lines):
            yield f"{module.path}: {count} lines of comment; let the code say it"


def suppressions(found: list[Module]) -> Iterator[str]:
    lines = sum(module.lines for module in found)
    kept: dict[str, list[str]] = {"noqa": [], "type: ignore": []}
    for module in found:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            hit = _SUPPRESSION.search(token.string) if token.type == tokenize.COMMENT else None
            if hit:
                kind = "noqa" if hit[1] == "noqa" else "type: ignore"
                kept[kind].append(f"{module.path}:{token.start[0]}")
    for kind, places in kept.items():
        if len(places) > MOST_SUPPRESSIONS * lines / 1000:
            yield f"too many `{kind}` for {lines} lines; mend the code at {', '.join(places)}"


def actors(found: list[Module]) -> Iterator[str]:
    for module in found:
        if not module.path.startswith("workers/actors/"):
            continue
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                if (node.end_lineno or 0) - node.lineno + 1 > LONGEST_ACTOR:
                    yield at(module, node, "an actor calls one function of core and ends")
                if any(ast.unparse(a.annotation or a) != "str" for a in node.args.args):
                    yield at(module, node, "an actor takes strings: ids, as messages carry them")


def mirrors(found: list[Module]) -> Iterator[str]:
    """A test is named after a file or package beside its mirror, and may add an aspect to it."""
    paths = [Path(module.path) for module in found]
    known = {path.with_suffix("") for path in paths} | {path.parent for path in paths}
    for path in paths:
        if path.parts[0] != "tests" or path.parts[1] not in PRODUCT or path.name[:5] != "test_":
            continue
        folder, words = Path(*path.parts[1:-1]), path.stem.split("_")[1:]
        if not any(folder / "_".join(words[:n]) in known for n in range(1, len(words) + 1)):
            yield f"{path}: nothing of this name is in {folder}; a wider law lives in tests/laws"


def is_models(module: Module) -> bool:
    return Path(module.path).name in {"models.py", "idempotency.py"}


def imports_from(module: Module, package: str, name: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == package
        and any(alias.name == name for alias in node.names)
        for node in ast.walk(module.tree)
    )


def at(module: Module, node: ast.AST, advice: str) -> str:
    return f"{module.path}:{getattr(node, 'lineno', 0)}: {advice}"


RULES: tuple[Callable[[list[Module]], Iterator[str]], ...] = (
    commits,
    raw_sql,
    clocks,
    names,
    file_sizes,
    function_sizes,
    comments,
    suppressions,
    actors,
    mirrors,
)


def findings(root: Path) -> list[str]:
    found = modules(root)
    return [f"{rule.__name__}: {finding}" for rule in RULES for finding in rule(found)]


if __name__ == "__main__":
    broken = findings(Path(sys.argv[1]) if sys.argv[1:] else Path())
    sys.stdout.writelines(f"{finding}\n" for finding in broken)
    sys.exit(1 if broken else 0)
