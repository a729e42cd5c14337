"""Slips: every small change of one function that somebody might make by mistake.

=============  =====================================================================
comparison     ``<`` and ``<=`` exchanged, ``==`` and ``!=``, ``in`` and ``not in``
constant       a number one larger, one smaller; of an index 0 only larger, as the last of one is the first
arithmetic     ``+`` and ``-`` exchanged
conjunct       one word of an ``and`` or ``or`` left out; the two exchanged
negation       a ``not`` left out
branch         the branches of an ``if``, of a conditional or of a loop's test swapped
store          one field left out of a ``replace(...)``
=============  =====================================================================

Docstrings, annotations, the ids of rules and the source lines that a log line or a fault cites stay as they
are. A mutant's id is made of the words that change, not of line numbers, so that it lives as long as they do.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
#: A loop of a mutant that turns more often than this does not end: rings and pools in the proofs are small,
#: and a loop over symbols ends at the engine's cap on forks.
ROUNDS = 400
ROUNDS_OF_A_PROTOCOL = 60


@dataclass(frozen=True, slots=True)
class Mutant:
    """One slip: in ``function`` (``module:qualname``) the code ``old`` becomes ``new``.

    ``nth`` counts equal changes of the same function from 1; ``line`` is where, in its file.
    """

    function: str
    kind: str
    old: str
    new: str
    nth: int
    line: int

    @property
    def id(self) -> str:
        """``gen14.ring.between: low <= x -> low < x``, with ``#2`` for the second of its kind."""
        where = self.function.replace("netmap_reference.", "").replace(":", ".")
        return f"{where}: {self.old} -> {self.new}" + (f" #{self.nth}" if self.nth > 1 else "")


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    node: ast.AST
    put: Callable[[ast.AST], ast.AST]


def name_of(function: Callable[..., Any]) -> str:
    """``module:qualname``, as mutants name functions."""
    return f"{function.__module__}:{function.__qualname__}"


@cache
def _tree(function: Callable[..., Any]) -> tuple[ast.FunctionDef, int]:
    lines, first = inspect.getsourcelines(function)
    node = ast.parse(textwrap.dedent("".join(lines))).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node, first


def _without(values: list[ast.expr], at: int) -> list[ast.expr]:
    return [v for i, v in enumerate(values) if i != at]


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every slip of one node: its kind and the node that takes its place."""
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            other = copy.deepcopy(node)
            other.ops[at] = _COMPARISONS[type(op)]()
            yield "comparison", other
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "constant", ast.Constant(node.value + 1)
        yield "constant", ast.Constant(node.value - 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        exchanged = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "arithmetic", ast.BinOp(node.left, exchanged, node.right)
    elif isinstance(node, ast.BoolOp):
        for at in range(len(node.values)):
            rest = _without(node.values, at)
            yield "conjunct", rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield "conjunct", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "negation", node.operand
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "replace":
        for at in range(len(node.keywords)):
            kept = [k for i, k in enumerate(node.keywords) if i != at]
            yield "store", ast.Call(node.func, node.args, kept)


def _branches(node: ast.AST) -> Iterator[ast.AST]:
    """The node with its branches swapped: the test negated."""
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        other = copy.copy(node)
        other.test = (
            node.test.operand
            if isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
            else ast.UnaryOp(ast.Not(), node.test)
        )
        yield other


def _walk(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every node of a body with the field of its parent that holds it; no docstring, no annotation."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for at, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                continue
            if isinstance(each, ast.Call) and _cites_lines(each):
                continue
            if isinstance(each, ast.AST):
                yield node, field, at
                yield from _walk(each)


def _cites_lines(call: ast.Call) -> bool:
    """A log line, or a fault, with the source lines it stands for."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    first = call.args[0] if call.args else None
    said = first.value if isinstance(first, ast.Constant) else ""
    return name in ("fault", "faults") or (name == "Do" and said in ("log", "fault"))


def _held(node: ast.AST, field: str, at: int | None) -> ast.AST:
    value = getattr(node, field)
    found: ast.AST = value if at is None else value[at]
    return found


def _slips(root: ast.FunctionDef) -> Iterator[tuple[int, str, ast.AST, ast.AST, str, str]]:
    """(number of the place, kind, old node, new node, old text, new text)."""
    for place, (parent, field, at) in enumerate(_walk(root)):
        node = _held(parent, field, at)
        for kind, new in _changes(node):
            if isinstance(parent, ast.Subscript) and isinstance(new, ast.Constant) and new.value == -1:
                continue
            shown_old, shown_new = node, new
            if isinstance(node, ast.Constant) and isinstance(parent, (ast.BinOp, ast.Compare, ast.keyword)):
                shown_old = parent
                shown_new = _with(parent, field, at, new)
            yield place, kind, node, new, ast.unparse(shown_old), ast.unparse(shown_new)
        for swapped in _branches(node):
            assert isinstance(node, (ast.If, ast.IfExp, ast.While))
            assert isinstance(swapped, (ast.If, ast.IfExp, ast.While))
            word = "while" if isinstance(node, ast.While) else "if"
            old, new_text = (f"{word} {ast.unparse(n.test)}" for n in (node, swapped))
            if not _is_said_already(node.test):
                yield place, "branch", node, swapped, old, new_text


def _is_said_already(test: ast.expr) -> bool:
    """Is another slip of the test, a comparison's or a negation's, the same as swapping the branches?"""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return isinstance(test.ops[0], (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot))
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _with(parent: ast.AST, field: str, at: int | None, new: ast.AST) -> ast.AST:
    """A copy of ``parent`` in which one child is another."""
    other = copy.copy(parent)
    if at is None:
        setattr(other, field, new)
    else:
        values = list(getattr(parent, field))
        values[at] = new
        setattr(other, field, values)
    return other


def mutants(function: Callable[..., Any]) -> list[Mutant]:
    """Every slip of one function, in the order of its source."""
    root, first = _tree(function)
    seen: dict[tuple[str, str], int] = {}
    found = []
    for _, kind, node, _, old, new in _slips(root):
        nth = seen[old, new] = seen.get((old, new), 0) + 1
        line = first + getattr(node, "lineno", 1) - 1
        found.append(Mutant(name_of(function), kind, old, new, nth, line))
    return found


class _Bounded(ast.NodeTransformer):
    """Counts the rounds of every ``while`` of a call: a mutant that never ends raises."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        counted = ast.parse(
            f"_rounds += 1\nif _rounds > {self.rounds}: raise RuntimeError('the loop does not end')"
        )
        node.body = [*counted.body, *node.body]
        return node


def _find(root: ast.FunctionDef, mutant: Mutant) -> tuple[int, ast.AST]:
    """The number of the place of a slip, and the node that belongs there."""
    seen: dict[tuple[str, str], int] = {}
    for place, kind, _, new, old_text, new_text in _slips(root):
        nth = seen[old_text, new_text] = seen.get((old_text, new_text), 0) + 1
        if (kind, old_text, new_text, nth) == (mutant.kind, mutant.old, mutant.new, mutant.nth):
            return place, new
    raise ValueError(f"no such mutant: {mutant.id}")


def mutated_tree(function: Callable[..., Any], mutant: Mutant) -> ast.Module:
    """The function's definition with the slip in it, without decorators.

    Raises ``ValueError`` when the function has no such slip (any more).
    """
    root = copy.deepcopy(_tree(function)[0])
    place, new = _find(root, mutant)
    for number, (parent, field, at) in enumerate(_walk(root)):
        if number == place:
            if at is None:
                setattr(parent, field, new)
            else:
                getattr(parent, field)[at] = new
            break
    return _bounded(root)


def _bounded(root: ast.FunctionDef) -> ast.Module:
    """A module with the definition alone, its loops bounded and its decorators gone."""
    yields = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(root))
    _Bounded(ROUNDS_OF_A_PROTOCOL if yields else ROUNDS).visit(root)
    start = ast.parse("_rounds = 0").body
    root.body = [*start, *root.body]
    root.decorator_list = []
    future = ast.parse("from __future__ import annotations").body
    return ast.fix_missing_locations(ast.Module([*future, root], []))


def bounded_tree(function: Callable[..., Any]) -> ast.Module | None:
    """The function's definition with its loops bounded; None for one without a ``while``.

    A slip in what a loop calls can make it endless as well as one in the loop.
    """
    root = copy.deepcopy(_tree(function)[0])
    return _bounded(root) if any(isinstance(n, ast.While) for n in ast.walk(root)) else None
