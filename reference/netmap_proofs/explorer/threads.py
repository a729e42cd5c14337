"""Where a thread is: what it does next after the answers it has received, and when two places are the same.

A protocol is brought to a place by replaying it from its start. Two lists of answers lead to the same place
when they leave the protocol at the same lines with the same local variables, in it and in every protocol
it is waiting for. That is all a generator knows, as long as it keeps nothing in the middle of an
expression: ``f((yield a), (yield b))`` would, and is not written in protocols; and loops over a sequence have
distinct items.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from types import GeneratorType
from typing import Any, TypeAlias

from netmap_reference.core.effects import Do, Fence, Fired, Protocol, ReadKernel, ReadUser

from .scenario import Scenario, ScenarioError
from .state import Next

Answers: TypeAlias = tuple[Any, ...]


class Threads:
    """The places of a scenario's threads, by number: what comes next there, and where an answer leads.

    ``idle`` says which barriers mean nothing; ``fired`` collects rules.
    """

    def __init__(self, scenario: Scenario, idle: Callable[[str], bool], fired: set[str]) -> None:
        self.scenario = scenario
        self.makers = list(scenario.threads.values())
        self.idle = idle
        self.fired = fired
        #: Of each place: its thread, answers that lead there, and what comes next.
        self.places: list[tuple[int, Answers, Next]] = []
        self.known: dict[Hashable, int] = {}
        self.leads: dict[tuple[int, type, Any], int] = {}
        self.first = [self._place(thread, ()) for thread in range(len(self.makers))]

    def next_of(self, place: int) -> Next:
        """The next effect of a thread. Rules, constant words and idle barriers are no steps."""
        return self.places[place][2]

    def after(self, place: int, answer: Any) -> int:
        """The place where a thread is when its effect was answered."""
        key = (place, type(answer), answer)
        if key not in self.leads:
            thread, answers, _ = self.places[place]
            self.leads[key] = self._place(thread, (*answers, answer))
        return self.leads[key]

    def _place(self, thread: int, answers: Answers) -> int:
        upcoming, where = self._replay(thread, answers)
        key = (thread, answers) if where is None else (thread, where)
        if key not in self.known:
            self.known[key] = len(self.places)
            self.places.append((thread, answers, upcoming))
        return self.known[key]

    def _replay(self, thread: int, answers: Answers) -> tuple[Next, Hashable | None]:
        waiting = list(reversed(answers))
        protocol = self.makers[thread]()
        answer: Any = None
        try:
            while True:
                effect = protocol.send(answer)
                if isinstance(effect, Fired):
                    self.fired.add(effect.rule)
                    answer = None
                elif isinstance(effect, Fence) and self.idle(effect.kind):
                    answer = None
                elif isinstance(effect, (ReadKernel, ReadUser)) and effect.where in self.scenario.constants:
                    answer = self.scenario.constants[effect.where]
                elif isinstance(effect, Do) and effect.what in self.scenario.immediate:
                    answer = self.scenario.immediate[effect.what]
                elif waiting:
                    answer = waiting.pop()
                else:
                    here = place(protocol) if self.scenario.weak else None
                    protocol.close()
                    return Next(effect), here
        except StopIteration as end:
            return Next(None, end.value), None
        except ScenarioError:
            raise
        except Exception as error:
            return Next(None, error=f"{type(error).__name__}: {error}"), None


def place(protocol: Protocol) -> Hashable | None:
    """The lines and local variables of a suspended protocol; ``None`` when they cannot be compared."""
    frames: list[Hashable] = []
    at: Any = protocol
    while at is not None:
        if not isinstance(at, GeneratorType) or at.gi_frame is None:
            return None
        local: list[Hashable] = []
        for name, value in sorted(at.gi_frame.f_locals.items(), key=lambda item: item[0]):
            inner = place(value) if isinstance(value, GeneratorType) else value
            if inner is None and value is not None:
                return None
            local.append((name, type(value), inner))
        frames.append((at.gi_code, at.gi_frame.f_lasti, tuple(local)))
        at = at.gi_yieldfrom
    found = tuple(frames)
    try:
        hash(found)
    except TypeError:
        return None
    return found
