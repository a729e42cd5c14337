"""Symbols that a step takes for integers and truth values.

A :class:`SymInt` stands for every integer that satisfies the path condition. It is a z3 ``Int``:
unbounded, like Python's own; C's wrap-around is written in the steps (``u32()`` and friends), so
nothing here wraps by itself.

What is exact and therefore allowed: ``+ - *``, negation, ``abs``, ``//`` and ``%`` by a positive
divisor (floor semantics, as Python's), ``<< k`` and ``>> k`` with a known ``k``, and ``& | ^`` with
a known mask whose ones are contiguous (each is rewritten to ``//``, ``%``, ``*``). Comparisons give
a :class:`SymBool`; asking a SymBool for its truth (``if``, ``and``, ``or``, ``not``, ``while``)
forks the execution.

What would leave the symbolic world raises :class:`EngineError`: ``int()``, ``float()``, use as an
index or in ``range``, hashing, formatting, division by a number that may be negative, a bit
operation that is not exact. Identity (``is``) cannot be intercepted at run time; ``code.py`` finds
it in the function's code before the function is run.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

import z3

from .errors import EngineError


class Decider(Protocol):
    """Whoever is executing: answers what a truth value is on this path."""

    def decide(self, condition: Any) -> bool: ...


_deciders: list[Decider] = []


def enter(decider: Decider) -> None:
    """From here on ``decider`` answers every fork."""
    _deciders.append(decider)


def leave() -> None:
    """Undo the last :func:`enter`."""
    _deciders.pop()


def _fork(condition: Any) -> bool:
    if not _deciders:
        raise EngineError("a symbolic truth value was used outside a proof")
    return _deciders[-1].decide(condition)


def _trap(what: str) -> Any:
    def trapped(self: Any, *_: Any) -> NoReturn:
        raise EngineError(f"{what} of the symbol {self!r}: the engine cannot follow a concrete value")

    return trapped


def _contiguous(mask: int) -> tuple[int, int] | None:
    """``(shift, width)`` when ``mask`` is ``width`` ones shifted left by ``shift``; None otherwise."""
    if mask <= 0:
        return None
    shift = (mask & -mask).bit_length() - 1
    ones = mask >> shift
    if ones & (ones + 1):
        return None
    return shift, ones.bit_length()


class _Symbol:
    """The traps that integers and truth values have in common."""

    __slots__ = ("term",)
    term: Any

    def __init__(self, term: Any) -> None:
        self.term = term

    def __repr__(self) -> str:
        return " ".join(str(self.term).split())

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    __index__ = _trap("use as an index")
    __int__ = _trap("int()")
    __float__ = _trap("float()")
    __complex__ = _trap("complex()")
    __hash__ = _trap("hash()")
    __str__ = _trap("str()")
    __format__ = _trap("formatting")
    __bytes__ = _trap("bytes()")
    __round__ = _trap("round()")
    __trunc__ = _trap("trunc()")
    __floor__ = _trap("floor()")
    __ceil__ = _trap("ceil()")
    __truediv__ = _trap("true division")
    __rtruediv__ = _trap("true division")
    __pow__ = _trap("a power")
    __rpow__ = _trap("a power")
    __reduce_ex__ = _trap("pickling")
    bit_length = _trap("bit_length()")
    bit_count = _trap("bit_count()")
    to_bytes = _trap("to_bytes()")


def term_of(value: Any) -> Any:
    """The z3 integer term of an ``int``, ``bool``, SymInt or SymBool; None for anything else."""
    kind = type(value)
    if kind is SymInt:
        return value.term
    if kind is SymBool:
        return z3.If(value.term, z3.IntVal(1), z3.IntVal(0))
    if kind is int or kind is bool:
        return z3.IntVal(int(value))
    if isinstance(value, float):
        raise EngineError(f"a symbol meets the float {value!r}")
    if isinstance(value, int):  # an IntEnum or IntFlag member
        return z3.IntVal(int(value))
    return None


def _arithmetic(build: Any) -> tuple[Any, Any]:
    def forward(self: Any, other: Any) -> Any:
        term = term_of(other)
        return NotImplemented if term is None else SymInt(build(term_of(self), term))

    def backward(self: Any, other: Any) -> Any:
        term = term_of(other)
        return NotImplemented if term is None else SymInt(build(term, term_of(self)))

    return forward, backward


def _comparison(build: Any) -> Any:
    def compare(self: Any, other: Any) -> Any:
        term = term_of(other)
        return NotImplemented if term is None else SymBool(build(term_of(self), term))

    return compare


def _divide(left: Any, right: Any, build: Any) -> Any:
    """``//`` and ``%``: z3's own agree with Python's exactly when the divisor is positive."""
    known = z3.simplify(right)
    if z3.is_int_value(known):
        if known.as_long() == 0:
            raise ZeroDivisionError("integer division or modulo by zero")
        if known.as_long() < 0:
            raise EngineError(f"division by the negative number {known}")
    else:
        if _fork(right == 0):
            raise ZeroDivisionError("integer division or modulo by zero")
        if _fork(right < 0):
            raise EngineError("division by a number that may be negative")
    return build(left, right)


def _mask(term: Any, mask: int) -> Any:
    """``term & mask`` as ``//``, ``%`` and ``*``; exact for negative values too."""
    if mask == 0:
        return z3.IntVal(0)
    if mask == -1:
        return term
    form = _contiguous(mask)
    if form is None:
        raise EngineError(f"bit operation with {mask:#x}: its ones are not contiguous")
    shift, width = form
    cut = term / (1 << shift) if shift else term
    return (cut % (1 << width)) * (1 << shift)


def _known(value: Any, what: str) -> int:
    if type(value) in (SymInt, SymBool):
        value = z3.simplify(term_of(value))
        if z3.is_int_value(value):
            return int(value.as_long())
        raise EngineError(f"{what} by a symbolic amount")
    return int(value)


class SymInt(_Symbol):
    """Any integer allowed by the path condition. See the module's text for what it can do."""

    __slots__ = ()

    # isinstance(x, int) must answer as it does for the integer the symbol stands for.
    __class__ = property(lambda self: int)

    __add__, __radd__ = _arithmetic(lambda a, b: a + b)
    __sub__, __rsub__ = _arithmetic(lambda a, b: a - b)
    __mul__, __rmul__ = _arithmetic(lambda a, b: a * b)
    __floordiv__, __rfloordiv__ = _arithmetic(lambda a, b: _divide(a, b, lambda x, y: x / y))
    __mod__, __rmod__ = _arithmetic(lambda a, b: _divide(a, b, lambda x, y: x % y))
    __eq__ = _comparison(lambda a, b: a == b)
    __ne__ = _comparison(lambda a, b: a != b)
    __lt__ = _comparison(lambda a, b: a < b)
    __le__ = _comparison(lambda a, b: a <= b)
    __gt__ = _comparison(lambda a, b: a > b)
    __ge__ = _comparison(lambda a, b: a >= b)
    __hash__ = _trap("hash()")

    def __bool__(self) -> bool:
        return _fork(self.term != 0)

    def __neg__(self) -> SymInt:
        return SymInt(-self.term)

    def __pos__(self) -> SymInt:
        return self

    def __abs__(self) -> SymInt:
        return SymInt(z3.If(self.term < 0, -self.term, self.term))

    def __invert__(self) -> SymInt:
        return SymInt(-self.term - 1)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __lshift__(self, by: Any) -> SymInt:
        return SymInt(self.term * (1 << _known(by, "shift")))

    def __rshift__(self, by: Any) -> SymInt:
        return SymInt(self.term / (1 << _known(by, "shift")))

    __rlshift__ = _trap("shift by the amount")
    __rrshift__ = _trap("shift by the amount")

    def __and__(self, mask: Any) -> SymInt:
        return SymInt(_mask(self.term, _known(mask, "bit operation")))

    def __or__(self, mask: Any) -> SymInt:
        known = _known(mask, "bit operation")
        return SymInt(self.term - _mask(self.term, known) + known)

    def __xor__(self, mask: Any) -> SymInt:
        known = _known(mask, "bit operation")
        return SymInt(self.term - 2 * _mask(self.term, known) + known)

    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__


class SymBool(_Symbol):
    """A truth value not known on every path. ``if``, ``and``, ``or``, ``not`` on it fork the execution.

    ``&``, ``|`` and ``^`` with another truth value do not fork; arithmetic takes it for 0 or 1.
    """

    __slots__ = ()

    __class__ = property(lambda self: bool)

    __add__, __radd__ = _arithmetic(lambda a, b: a + b)
    __sub__, __rsub__ = _arithmetic(lambda a, b: a - b)
    __mul__, __rmul__ = _arithmetic(lambda a, b: a * b)
    __lt__ = _comparison(lambda a, b: a < b)
    __le__ = _comparison(lambda a, b: a <= b)
    __gt__ = _comparison(lambda a, b: a > b)
    __ge__ = _comparison(lambda a, b: a >= b)
    __hash__ = _trap("hash()")
    __invert__ = _trap("~ (a bit operation, not a negation)")

    def __bool__(self) -> bool:
        return _fork(self.term)

    def __eq__(self, other: object) -> Any:
        if type(other) is SymBool or type(other) is bool:
            return SymBool(self.term == _truth(other))
        term = term_of(other)
        return NotImplemented if term is None else SymBool(term_of(self) == term)

    def __ne__(self, other: object) -> Any:
        same = self.__eq__(other)
        return same if same is NotImplemented else SymBool(z3.Not(same.term))

    def __and__(self, other: Any) -> Any:
        truth = _truth(other)
        return NotImplemented if truth is None else SymBool(z3.And(self.term, truth))

    def __or__(self, other: Any) -> Any:
        truth = _truth(other)
        return NotImplemented if truth is None else SymBool(z3.Or(self.term, truth))

    def __xor__(self, other: Any) -> Any:
        truth = _truth(other)
        return NotImplemented if truth is None else SymBool(z3.Xor(self.term, truth))

    __rand__ = __and__
    __ror__ = __or__
    __rxor__ = __xor__


def _truth(value: Any) -> Any:
    """The z3 Boolean of a ``bool`` or SymBool; None for anything else."""
    if type(value) is SymBool:
        return value.term
    if type(value) is bool:
        return z3.BoolVal(value)
    return None


def truth_of(value: Any) -> Any:
    """The z3 Boolean of a condition. Raises :class:`EngineError` for what is neither bool nor SymBool."""
    term = _truth(value)
    if term is None:
        raise EngineError(f"a condition is {type(value).__name__}, not a truth value")
    return term


def is_symbol(value: Any) -> bool:
    return type(value) is SymInt or type(value) is SymBool
