"""What the statements of the model are, seen by their syntax: effects, fired rules, locks, ways out."""

from __future__ import annotations

import ast
import copy

#: Methods that note a rule as fired.
FIRES = ("fire", "append", "extend", "update", "add")
_LOCKS = ("Lock", "Unlock")
Block = list[ast.stmt]


class _Unwrapped(ast.NodeTransformer):
    """Without the words of C types: ``i32(x)`` is ``x``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        wraps = isinstance(node.func, ast.Name) and node.func.id in ("i32", "u32", "u16")
        return node.args[0] if wraps else node


def state(statement: ast.Return) -> str:
    """What a case returns, without the rules it fires: its text with types of C left out."""
    value = copy.deepcopy(statement.value)
    if isinstance(value, ast.Call) and len(value.args) > 1:
        value.args[1] = ast.Constant(None)
    return ast.dump(_Unwrapped().visit(value)) if value is not None else ""


def walk(block: Block) -> list[ast.AST]:
    """Every node of a block in the order of the text, without those of nested functions."""
    found: list[ast.AST] = []
    for node in block:
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            children = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.stmt | ast.ExceptHandler)]
            found += walk(children)  # type: ignore[arg-type]
    return found


def ends(block: Block) -> bool:
    """Does control never leave this block at its end?"""
    if not block:
        return False
    last = block[-1]
    if isinstance(last, ast.Return | ast.Raise):
        return True
    if isinstance(last, ast.If):
        return ends(last.body) and ends(last.orelse)
    return False


def _called(statement: ast.stmt) -> str:
    """The name of the effect or function that an expression statement is, empty for another statement."""
    if not isinstance(statement, ast.Expr):
        return ""
    value: ast.AST | None = statement.value
    if isinstance(value, ast.Yield | ast.YieldFrom):
        value = value.value
    if isinstance(value, ast.Call):
        return value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    return ""


def fires_any(statement: ast.stmt) -> bool:
    """Does this statement fire a rule, whichever?"""
    name = _called(statement)
    return name in ("Fired", "fire") or (
        name in FIRES and isinstance(statement, ast.Expr) and "fired" in ast.dump(statement.value)
    )


def locks(statement: ast.stmt) -> bool:
    return _called(statement) in _LOCKS


def is_effect(statement: ast.stmt) -> bool:
    """Something done to the world, not needed for what follows: a call, an effect, a store into an object."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return all(isinstance(t, ast.Attribute | ast.Subscript) for t in statement.targets)
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.target, ast.Attribute | ast.Subscript)
    return isinstance(statement, ast.Delete)


def effects(block: Block) -> bool:
    """Does the block do anything but fire rules?"""
    return any(
        not fires_any(n) and (is_effect(n) or isinstance(n, ast.Return | ast.Assign))
        for n in walk(block)
        if isinstance(n, ast.stmt)
    )
