"""A protocol carried out alone, from its first effect to its end: what one call does when nobody interferes.

What others may do meanwhile is the explorer's business. Memory is a dictionary of words, whose values may
be symbols; a ``Do`` is answered by a function of that memory. The result keeps everything the
call did, in order, so that an obligation can say what must come before what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netmap_reference.core.effects import (
    Do,
    Effect,
    Fired,
    Lock,
    Protocol,
    ReadKernel,
    ReadUser,
    SelRecord,
    Sleep,
    Unlock,
    Wake,
    WriteKernel,
    WriteUser,
)

from ..engine import Proof
from ..engine.code import refuse_identity

Where = tuple[Any, ...]
Words = dict[Where, Any]
Answers = Mapping[str, Callable[[Words, tuple[Any, ...]], Any]]


#: A call on small memories ends long before so many effects.
MOST = 2_000


class Alone(Exception):
    """The call cannot go on alone: it asks for what nobody gave, misuses a lock, would sleep, never ends."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a call returned, the ``memory`` afterwards, its effects in order, and the rules it fired."""

    result: Any
    memory: Words
    log: tuple[Effect, ...]
    fired: tuple[str, ...]

    def of(self, *kinds: type) -> list[Any]:
        """The effects of these kinds, in order."""
        return [e for e in self.log if isinstance(e, kinds)]

    def done(self, what: str) -> list[tuple[Any, ...]]:
        """The arguments of every ``Do`` of this name."""
        return [e.args for e in self.of(Do) if e.what == what]

    def reads(self, *where: Any) -> int:
        """How often a user word was read."""
        return sum(1 for e in self.of(ReadUser) if e.where == where)

    def at(self, *effects: Effect) -> list[int]:
        """The positions in the log of any of these effects."""
        return [i for i, e in enumerate(self.log) if any(e == other for other in effects)]


def carry_out(
    make: Callable[..., Protocol], arguments: tuple[Any, ...], memory: Words, do: Answers, most: int = MOST
) -> Done:
    """Run ``make(*arguments)`` to its end on a copy of ``memory``.

    Locks must be free when they are taken and held when they are given back, and none may be left. A call
    that does not end fails.
    """
    words, log, fired, held = dict(memory), list[Effect](), list[str](), set[str]()
    protocol, answer = make(*arguments), None
    try:
        while True:
            effect = protocol.send(answer)
            answer = None
            if isinstance(effect, Fired):
                fired.append(effect.rule)
                continue
            log.append(effect)
            if len(log) > most:
                raise Alone(f"does not end: more than {most} effects")
            match effect:
                case ReadUser(where) | ReadKernel(where):
                    if where not in words:
                        raise Alone(f"nobody gave a value for {where}")
                    answer = words[where]
                case WriteUser(where, value) | WriteKernel(where, value):
                    words[where] = value
                case Do(what, args):
                    if what not in do:
                        raise Alone(f"nobody answers Do({what})")
                    answer = do[what](words, args)
                case Lock(name):
                    if name in held:
                        raise Alone(f"{name} is taken twice")
                    held.add(name)
                case Unlock(name):
                    if name not in held:
                        raise Alone(f"{name} is given back and was not held")
                    held.remove(name)
                case Sleep():
                    raise Alone("nobody would wake it")
                case SelRecord() | Wake():
                    pass
    except StopIteration as end:
        if held:
            raise Alone(f"ends with {', '.join(sorted(held))} held") from None
        return Done(end.value, words, tuple(log), tuple(fired))


def alone(
    p: Proof, make: Callable[..., Protocol], *arguments: Any, memory: Words, do: Answers | None = None
) -> Done:
    """:func:`carry_out` under proof: the result is compared with the rerun, the rules are counted."""
    refuse_identity(make)
    done = p.run(carry_out, make, arguments, memory, do or {})
    p.reached(done.fired)
    return done


class Cases:
    """Goals over many plain cases: each is handed to the proof once, with the first case that fails it.

    For calls on small memories, where every case is a run and no solver is needed.
    """

    def __init__(self, p: Proof, of: str) -> None:
        self.p, self.of = p, of
        self.cases = 0
        self._goals: dict[str, bool] = {}
        self._case: Mapping[str, Any] = {}

    def case(self, **facts: Any) -> None:
        """The facts of the case that the next goals are about."""
        self.cases += 1
        self._case = facts

    def run(
        self, make: Callable[..., Protocol], *arguments: Any, memory: Words, do: Answers, most: int = MOST
    ) -> Done:
        """A call carried out; one that cannot be is a failed goal, and its case is over."""
        done = carry_out(make, arguments, memory, do, most)
        self.p.reached(done.fired)
        return done

    def goal(self, name: str, *conditions: bool) -> None:
        """All ``conditions`` hold in this case."""
        holds = all(conditions)
        if not holds and self._goals.get(name, True):
            self._fail(name)
        self._goals[name] = self._goals.get(name, True) and holds

    def _fail(self, name: str) -> None:
        facts = ", ".join(f"{k} = {v}" for k, v in self._case.items())
        self.p.evidence(name, False, {"what": facts, "lines": [facts]})

    def end(self) -> None:
        """All cases were looked at."""
        self.p.bounded(self.cases, self.of)
        for name, holds in self._goals.items():
            if holds:
                self.p.evidence(name, True, None)


def read_as(protocol: Protocol, values: Mapping[Where, Sequence[Any]]) -> Protocol:
    """``protocol`` whose reads of these user words find one value after the other; the last one stays.

    What another thread stores between two reads, without its stores.
    """
    left, answer = {where: list(found) for where, found in values.items()}, None
    try:
        while True:
            effect: Effect = protocol.send(answer)
            answer = yield effect
            if isinstance(effect, ReadUser) and effect.where in left:
                found = left[effect.where]
                answer = found.pop(0) if len(found) > 1 else found[0]
    except StopIteration as end:
        return end.value


def quiet(*names: str) -> dict[str, Any]:
    """Answers for what a call only tells: each of these ``Do`` does nothing and returns nothing."""
    return {name: (lambda memory, args: None) for name in names}


def under(log: Iterable[Effect], lock: str, which: Callable[[Effect], bool]) -> bool:
    """Is ``lock`` held at every effect that ``which`` accepts?"""
    held = False
    for effect in log:
        held = True if effect == Lock(lock) else False if effect == Unlock(lock) else held
        if which(effect) and not held:
            return False
    return True


def awake(protocol: Protocol) -> Protocol:
    """``protocol``, alone: its short sleeps, which nobody would end, are a ``Do("pause")`` each."""
    answer: Any = None
    try:
        while True:
            effect: Effect = protocol.send(answer)
            answer = yield (Do("pause") if isinstance(effect, Sleep) else effect)
    except StopIteration as end:
        return end.value


def only(effects: Iterable[Effect], *kinds: type) -> list[Effect]:
    """The effects of these kinds."""
    return [e for e in effects if isinstance(e, kinds)]
