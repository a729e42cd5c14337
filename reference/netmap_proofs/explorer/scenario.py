"""What is explored: the threads, the memory they share, and who may change it behind their back.

A thread is a function that makes a fresh protocol (``core/effects.py``). A protocol keeps nothing
but its own locals, so the list of answers it has received so far says exactly where it is: that
list is its part of a state's key, and it is brought there again by replaying it from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netmap_reference.core.effects import Do, Effect, Protocol

from .models import Where as Where


class ScenarioError(Exception):
    """The scenario does not answer an effect: a word nobody gave, a ``Do`` nobody handles."""


class Memory:
    """Words by name, immutable: :meth:`set` gives a new memory. Values must be hashable."""

    __slots__ = ("_key", "_words")

    def __init__(self, words: Mapping[Where, Any]) -> None:
        self._words = dict(words)
        self._key = frozenset(self._words.items())

    def __getitem__(self, where: Where) -> Any:
        try:
            return self._words[where]
        except KeyError:
            raise ScenarioError(f"nobody gave a value for {where}") from None

    def __contains__(self, where: Where) -> bool:
        return where in self._words

    def set(self, *changes: tuple[Where, Any]) -> Memory:
        """This memory with some words changed; each ``(where, value)``."""
        return Memory({**self._words, **dict(changes)})

    def changed(self, start: Mapping[Where, Any]) -> Memory:
        """The words that are no longer what they were at the start."""
        return Memory({w: v for w, v in self._words.items() if w not in start or start[w] != v})

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and self._key == other._key

    def __repr__(self) -> str:
        return ", ".join(f"{'.'.join(map(str, w))}={v}" for w, v in sorted(self._words.items(), key=repr))


#: Answers a ``Do``: every ``(answer, memory afterwards)`` that may happen.
Handler = Callable[[Memory, str, tuple[Any, ...]], Iterable[tuple[Any, Memory]]]


@dataclass(frozen=True)
class Scenario:
    """``threads`` by name and the ``memory`` they start with (kernel's and user's words alike).

    ``constants`` are words that nobody changes and ``immediate`` the answers of calls that touch
    nothing shared (a log line, the time): neither is a step of its own. ``derived`` gives words that
    are part of another one. ``adversary`` lists the values another thread of the application may store
    into a user word at any moment: each read of it may see any of them, or what is there. ``do``
    handles atomic calls by name. ``waits`` says, for a thread that sleeps, what it waits for: asleep
    for good while that holds is a lost wake-up. ``always`` must hold in every state, ``finally_`` when
    no thread can go on; the latter also gets
    the results of the threads that ended. ``outcome`` names what is kept of each end.

    ``weak`` lists the words that obey the memory model named ``model`` (:data:`.models.MODELS`); all others
    are what locks protect or one thread has to itself, and are seen at once. ``private`` words belong to one
    thread: accesses to them are taken together with the step before. A call, a lock, a wake-up and going to
    sleep order everything like a full barrier, but for the calls named in ``unordered``. A thread in
    ``forever`` starts over when its protocol ends.
    """

    threads: Mapping[str, Callable[[], Protocol]]
    memory: Mapping[Where, Any] = field(default_factory=dict)
    constants: Mapping[Where, Any] = field(default_factory=dict)
    immediate: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[Where, Callable[[Memory], Any]] = field(default_factory=dict)
    adversary: Mapping[Where, tuple[Any, ...]] = field(default_factory=dict)
    do: Mapping[str, Handler] = field(default_factory=dict)
    waits: Mapping[str, Callable[[Memory], bool]] = field(default_factory=dict)
    always: Mapping[str, Callable[[Memory], bool]] = field(default_factory=dict)
    finally_: Mapping[str, Callable[[Memory, Mapping[str, Any]], bool]] = field(default_factory=dict)
    outcome: Callable[[Memory, Mapping[str, Any]], Any] | None = None
    model: str = "SC"
    weak: frozenset[Where] = frozenset()
    private: frozenset[Where] = frozenset()
    unordered: frozenset[str] = frozenset()
    forever: frozenset[str] = frozenset()


def inline(protocol: Protocol, calls: Mapping[str, Callable[..., Protocol]]) -> Protocol:
    """``protocol`` with each ``Do`` named in ``calls`` replaced by the protocol that carries it out."""
    answer: Any = None
    try:
        while True:
            effect: Effect = protocol.send(answer)
            if isinstance(effect, Do) and effect.what in calls:
                answer = yield from inline(calls[effect.what](*effect.args), calls)
            else:
                answer = yield effect
    except StopIteration as end:
        return end.value


def without(protocol: Protocol, dropped: Callable[[Effect], bool]) -> Protocol:
    """``protocol`` with the effects that ``dropped`` accepts left out: how a control plants a bug."""
    answer: Any = None
    try:
        while True:
            effect: Effect = protocol.send(answer)
            answer = None if dropped(effect) else (yield effect)
    except StopIteration as end:
        return end.value
