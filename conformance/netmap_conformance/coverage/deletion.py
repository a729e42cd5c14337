"""What it means to delete a rule, as a transformation of the model's syntax tree.

A rule of a switch is deleted with the switch: where it is fired, the switch counts as not set, so that the
contract decides. Any other rule is deleted wherever the model fires it. What goes with it depends on the
form of that place:

``if …:`` with R        The branch that fires R is gone: its condition never holds, what stands in ``else`` or
                       below the ``if`` takes over. An ``else`` or last ``elif`` that only fires R (the rule
                       says "nothing happens") falls to the branch above it. When the ``if`` only fires R,
                       what it asked counts as false from there on.
``return Step(…, R)``   As the function's last case, or when the case below returns the same: the nearest case
                       that returns something else, above it if there is one, decides instead. With no
                       other case the step is the identity: its first argument comes back.
``fired = (R,)``        Like a branch when it stands in one; in a loop, the loop ends there; at the level of
                       the function, the nearest other case decides from there on.
``yield Fired(R)``      Outside a branch, like ``fired.append(R)``: the effects that follow are left out, up
                       to the next rule fired and, unless they begin with one, the next lock or unlock.
                       Where no effect follows, the rule tells what was done: the effects before it in its
                       block are left out, back to the rule fired before. What is read or computed stays, and
                       so does the way out.
``may_fail(s, P)``      The failure point that stands for the rule never fails; likewise ``fails(s, P)``.
``undo(…, S, R)``       The step is taken back whether or not the switch is set.
``A if c else B``       When ``c`` is whether a switch is set, it is fixed to what makes the other one fire.
                       Otherwise the effects are left out when ``c`` selects the deleted one.

Mentions that fire nothing (comparisons, keys of tables) stay as they are.
"""

from __future__ import annotations

import ast
import copy
import itertools
from dataclasses import dataclass, field

from netmap_reference.gen14.failure import rule_of

from .statements import FIRES, Block, effects, ends, fires_any, is_effect, locks, state, walk


@dataclass(slots=True)
class Names:
    """Which expressions of one module mean the rule: its constants by name, and by module alias and name."""

    plain: set[str] = field(default_factory=set)
    qualified: set[tuple[str, str]] = field(default_factory=set)

    def means(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.plain
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return (node.value.id, node.attr) in self.qualified
        return False

    def __bool__(self) -> bool:
        return bool(self.plain or self.qualified)


def constants(tree: ast.Module) -> dict[str, str]:
    """Constant -> rule id for every ``NAME = rule("ID", …)`` or ``NAME = point("ID", …)`` of a module."""
    found: dict[str, str] = {}
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id in ("rule", "point")
            and isinstance(node.value.args[0], ast.Constant)
            and isinstance(node.targets[0], ast.Name)
        ):
            named = str(node.value.args[0].value)
            found[node.targets[0].id] = rule_of(named) if node.value.func.id == "point" else named
    return found


def mentions(tree: ast.Module, constant: str, module: str, own: bool) -> Names:
    """How a module can name the constant of ``module``: defined, imported, or qualified; also by way of the
    packages that ``module`` is in, which may show it as their own."""
    names = Names({constant} if own else set())
    homes = module.split(".")[1:] or [module]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            if (node.module or "").split(".")[-1] in homes and alias.name == constant:
                names.plain.add(alias.asname or alias.name)
            elif alias.name in homes:
                names.qualified.add((alias.asname or alias.name, constant))
    return names


def switch_of(tree: ast.Module, constant: str) -> str:
    """The constant of the switch that a rule's definition names, empty for none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            target = node.targets[0]
            for keyword in node.value.keywords:
                named = isinstance(target, ast.Name) and target.id == constant and keyword.arg == "switch"
                if named and isinstance(keyword.value, ast.Name):
                    return keyword.value.id
    return ""


def delete(tree: ast.Module, names: Names, switch: str = "") -> tuple[ast.Module, int]:
    """A copy of the module without the rule, and at how many places it was fired."""
    if not any(_mentions(node, names) for node in tree.body):
        return tree, 0
    made = copy.deepcopy(tree)
    count = 0
    for node in ast.walk(made):
        if isinstance(node, ast.FunctionDef) and _mentions(node, names):
            deleter = _Deleter(node, names, switch)
            deleter.run()
            count += deleter.count
    return ast.fix_missing_locations(made), count


def _mentions(statement: ast.stmt, names: Names) -> bool:
    """Is the rule named in this statement of a module, other than by its definition?"""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return any(names.means(node) for node in ast.walk(statement))
    return False


class _Replaced(ast.NodeTransformer):
    """Every place where an expression is asked again says false."""

    def __init__(self, asked: ast.expr) -> None:
        self.asked = ast.dump(asked)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.dump(node) == self.asked:
            return ast.Constant(False)
        return super().generic_visit(node)


class _NeverFails(ast.NodeTransformer):
    """A failure point is passed as if no plan could name it."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.count = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("may_fail", "fails") and any(self.names.means(a) for a in node.args):
            self.count += 1
            return ast.Constant(False)
        if name == "undo" and any(self.names.means(a) for a in node.args):
            self.count += 1
            node.args[3:5] = [ast.Constant(""), ast.Constant("")]
        return node


class _Deleter:
    """Deletes the rule from one function; nested functions are functions of their own."""

    def __init__(self, function: ast.FunctionDef, names: Names, switch: str) -> None:
        self.function = function
        self.names = names
        self.switch = switch
        self.count = 0
        self.removed: set[int] = set()  # positions in the list of the function's returns
        self.returns = [n for n in walk(function.body) if isinstance(n, ast.Return) and n.value is not None]

    def run(self) -> None:
        if self.switch and self._unset():
            return
        points = _NeverFails(self.names)
        points.visit(self.function)
        self.count += points.count
        self._flip()
        original = copy.deepcopy(self.returns)
        ended = ends(self.function.body)
        self.function.body = self._block(self.function.body, "function") or [ast.Pass()]
        if self.count and ended and original and not ends(self.function.body):
            self.function.body.append(self._sibling(original))

    def _unset(self) -> bool:
        """Where the function fires the rule and looks at its switch, the switch is not set."""
        tests = [n for n in ast.walk(self.function) if isinstance(n, ast.Compare) and self._asks(n)]
        fired = [n for n in walk(self.function.body) if isinstance(n, ast.stmt) and self._fires(n)]
        if not (tests and fired):
            return False
        for test in tests:
            # "x in ()" is false and "x not in ()" is true
            test.comparators = [ast.Tuple([], ast.Load())]
        self.count = len(fired)
        return True

    def _asks(self, test: ast.Compare) -> bool:
        asked = test.left.id if isinstance(test.left, ast.Name) else getattr(test.left, "attr", "")
        return asked == self.switch and isinstance(test.ops[0], ast.In | ast.NotIn)

    # --- where the rule is fired ----------------------------------------------------------------

    def _fires(self, statement: ast.stmt) -> bool:
        """Does this very statement (not one inside it) fire the rule?"""
        if isinstance(statement, ast.Return | ast.Assign | ast.AnnAssign | ast.AugAssign):
            return statement.value is not None and self._in(statement.value)
        if isinstance(statement, ast.Expr):
            value: ast.AST | None = statement.value
            if isinstance(value, ast.Yield):
                value = value.value
            if isinstance(value, ast.Call):
                called = value.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                return name in ("Fired", *FIRES) and any(self._in(a) for a in value.args)
        return False

    def _in(self, node: ast.AST) -> bool:
        """Is the rule among what this expression is made of, other than to be compared or looked up?"""
        if self.names.means(node):
            return True
        if isinstance(node, ast.Compare | ast.Subscript):
            return False
        if isinstance(node, ast.Dict):
            return any(self._in(value) for value in node.values)
        if isinstance(node, ast.IfExp):
            return self._in(node.body) or self._in(node.orelse)
        return any(self._in(child) for child in ast.iter_child_nodes(node))

    # --- switches -------------------------------------------------------------------------------

    def _flip(self) -> None:
        """``A if early else B``, ``early = SWITCH in switches``: fix ``early`` to what avoids the rule."""
        switches = {
            n.targets[0].id: n
            for n in walk(self.function.body)
            if isinstance(n, ast.Assign)
            and isinstance(n.targets[0], ast.Name)
            and isinstance(n.value, ast.Compare)
            and isinstance(n.value.ops[0], ast.In | ast.NotIn)
            and any(isinstance(c, ast.Name) and c.id == "switches" for c in n.value.comparators)
        }
        for statement in walk(self.function.body):
            if not isinstance(statement, ast.stmt) or not self._fires(statement):
                continue
            for choice in [n for n in ast.walk(statement) if isinstance(n, ast.IfExp)]:
                if not isinstance(choice.test, ast.Name) or choice.test.id not in switches:
                    continue
                first, second = self._in(choice.body), self._in(choice.orelse)
                if first != second:
                    switches[choice.test.id].value = ast.Constant(value=not first)
                    choice.body = choice.orelse = choice.orelse if first else choice.body
                    self.count += 1

    # --- blocks ---------------------------------------------------------------------------------

    def _block(self, block: Block, kind: str) -> Block:
        """A block without the rule; ``kind`` is what it is the body of: function, loop, branch."""
        out: Block = []
        rest = list(block)
        while rest:
            statement = rest.pop(0)
            if isinstance(statement, ast.If):
                asked = self._only_tells(statement)
                out += self._if(statement)
                if asked is not None:
                    rest = [_Replaced(asked).visit(s) for s in rest]
                    if isinstance(asked, ast.Name):
                        out.append(ast.Assign([ast.Name(asked.id, ast.Store())], ast.Constant(False)))
            elif isinstance(statement, ast.For | ast.While):
                statement.body = self._block(statement.body, "loop") or [ast.Pass()]
                statement.orelse = self._block(statement.orelse, kind)
                out.append(statement)
            elif isinstance(statement, ast.With):
                statement.body = self._block(statement.body, kind) or [ast.Pass()]
                out.append(statement)
            elif isinstance(statement, ast.Try):
                statement.body = self._block(statement.body, kind) or [ast.Pass()]
                for handler in statement.handlers:
                    handler.body = self._block(handler.body, "branch") or [ast.Pass()]
                out.append(statement)
            elif not self._fires(statement):
                out.append(statement)
            else:
                self.count += 1
                if self._tells_what_was_done(statement, rest):
                    self._take_back(out)
                out += self._deleted(statement, rest, kind)
        return out

    def _only_tells(self, statement: ast.If) -> ast.expr | None:
        """What an ``if`` asks that does nothing but fire the rule, ``None`` for any other."""
        fires = all(self._branch_fires(s) and isinstance(s, ast.Expr) for s in statement.body)
        return statement.test if fires and not statement.orelse else None

    def _tells_what_was_done(self, statement: ast.stmt, rest: Block) -> bool:
        """Does an expression that fires the rule stand behind the effects it is about?"""
        if not isinstance(statement, ast.Expr) or any(isinstance(n, ast.IfExp) for n in ast.walk(statement)):
            return False
        ahead = itertools.takewhile(lambda s: not fires_any(s) and not locks(s), rest)
        return not any(is_effect(n) for s in ahead for n in walk([s]) if isinstance(n, ast.stmt))

    def _take_back(self, done: Block) -> None:
        """Leave out the effects at the end of a block, back to the last rule fired or lock taken."""
        at = len(done)
        while at and not fires_any(done[at - 1]) and not locks(done[at - 1]):
            at -= 1
        done[at:] = self._without_effects(done[at:])

    def _deleted(self, statement: ast.stmt, rest: Block, kind: str) -> Block:
        """What stands for a statement that fires the rule; takes from ``rest``, what follows, what goes."""
        if isinstance(statement, ast.Return):
            self._gone(statement)
            other = self._other(statement) if kind == "branch" and self._alike_below(statement) else None
            return [] if other is None else [other]
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            if kind == "loop":
                rest.clear()
                return [ast.Break()]
            for node in walk(rest):
                if isinstance(node, ast.Return):
                    self._gone(node)
            rest.clear()
            return []
        segment = self._segment(rest)
        choice = next((n for n in ast.walk(statement) if isinstance(n, ast.IfExp)), None)
        if choice is not None:
            kept: Block = [copy.deepcopy(s) for s in segment]
            first = self._in(choice.body)
            test = ast.UnaryOp(ast.Not(), choice.test) if first else choice.test
            choice.body = choice.orelse = choice.orelse if first else choice.body
            guarded = ast.If(test=test, body=[statement, *[s for s in kept if is_effect(s)]], orelse=[])
            return [guarded, *self._without_effects(segment)]
        return self._without_effects(segment)

    def _gone(self, statement: ast.Return) -> None:
        for at, known in enumerate(self.returns):
            if known is statement:
                self.removed.add(at)

    def _segment(self, rest: Block) -> Block:
        """The statements that belong to a fired rule: taken off the front of ``rest``."""
        segment: Block = []
        locks_first = bool(rest) and locks(rest[0])
        while rest and not fires_any(rest[0]) and not isinstance(rest[0], ast.Return):
            if not locks_first and locks(rest[0]):
                break
            segment.append(rest.pop(0))
        return segment

    def _without_effects(self, block: Block) -> Block:
        out: Block = []
        for statement in block:
            if isinstance(statement, ast.If | ast.For | ast.While):
                statement.body = self._without_effects(statement.body) or [ast.Pass()]
                statement.orelse = self._without_effects(statement.orelse)
                out.append(statement)
            elif not is_effect(statement):
                out.append(statement)
        return out

    # --- branches -------------------------------------------------------------------------------

    def _if(self, statement: ast.If) -> Block:
        if any(self._branch_fires(s) for s in statement.body) and not self._has_others(statement.body):
            instead = self._instead(statement)
            if instead is not None:
                statement.body = [*statement.body[:-1], instead]
                statement.orelse = self._block(statement.orelse, "branch")
                return [statement]
            self._take_branch(statement.body)
            return self._block(statement.orelse, "branch")
        statement.body = self._block(statement.body, "branch") or [ast.Pass()]
        orelse = statement.orelse
        last = orelse[0] if len(orelse) == 1 and isinstance(orelse[0], ast.If) else None
        if last is not None and any(self._branch_fires(s) for s in last.body) and not effects(last.body):
            self._take_branch(last.body)
            statement.test = ast.BoolOp(ast.Or(), [statement.test, last.test])
            statement.orelse = self._block(last.orelse, "branch")
            return [statement]
        if last is None and any(self._branch_fires(s) for s in orelse):
            self._take_branch(orelse)
            returns = any(isinstance(s, ast.Return) for s in orelse)
            if returns or not effects(orelse):
                return statement.body
            statement.orelse = []
            return [statement]
        statement.orelse = self._block(orelse, "branch")
        return [statement]

    def _branch_fires(self, statement: ast.stmt) -> bool:
        """Does the rule name this branch as a whole? A choice of two rules does not."""
        return self._fires(statement) and not any(
            isinstance(n, ast.IfExp) and self._in(n) for n in ast.walk(statement)
        )

    def _take_branch(self, block: Block) -> None:
        self.count += 1
        for node in walk(block):
            if isinstance(node, ast.Return):
                self._gone(node)

    def _has_others(self, block: Block) -> bool:
        """Do statements inside this branch's own branches end the function for other rules?"""
        inner = [n for n in walk(block) if isinstance(n, ast.Return) and n not in block]
        return bool(inner) and isinstance(block[-1], ast.Return)

    # --- another case ---------------------------------------------------------------------------

    def _instead(self, statement: ast.If) -> ast.Return | None:
        """For a branch that returns what the case below it returns as well: another case, if there is one."""
        last = statement.body[-1]
        if statement.orelse or not isinstance(last, ast.Return) or not self._fires(last):
            return None
        if not self._alike_below(last):
            return None
        self.count += 1
        self._gone(last)
        return self._other(last)

    def _alike_below(self, statement: ast.Return) -> bool:
        """Does the next case of the function return the same state?"""
        at = next((i for i, known in enumerate(self.returns) if known is statement), len(self.returns))
        below = self.returns[at + 1 : at + 2]
        return any(state(b) == state(statement) for b in below)

    def _other(self, statement: ast.Return) -> ast.Return | None:
        """The nearest case with another state, above if possible."""
        at = next(i for i, known in enumerate(self.returns) if known is statement)
        nearest = [*reversed(self.returns[:at]), *self.returns[at + 1 :]]
        found = next((r for r in nearest if state(r) != state(statement) and not self._fires(r)), None)
        return copy.deepcopy(found)

    def _sibling(self, original: list[ast.Return]) -> ast.Return:
        """The nearest case that is left, above the deleted one if possible; else the identity."""
        left = [at for at in range(len(original)) if at not in self.removed]
        if left:
            first = min(self.removed, default=len(original))
            gone = state(original[first]) if first < len(original) else ""
            above = [at for at in left if at < first]
            ordered = [*reversed(above), *(at for at in left if at > first)]
            other = next((at for at in ordered if state(original[at]) != gone), ordered[0])
            return original[other]
        if not self.function.args.args:
            return ast.Return(ast.Constant(None))
        argument = self.function.args.args[0].arg
        step = ast.Call(ast.Name("Step", ast.Load()), [ast.Name(argument, ast.Load())], [])
        return ast.Return(step)
