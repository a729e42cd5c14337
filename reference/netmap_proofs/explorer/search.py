"""Every interleaving of a scenario's threads, breadth first: the first counterexample is a shortest one.

Locks block. ``SelRecord`` puts a thread on a wait queue, ``Wake`` empties the queue and marks the
threads; a mark that comes before ``Sleep`` lets it return at once, as select's rescan does. A
``Sleep`` with a channel has no such memory: only a ``Wake`` of that name while it sleeps ends it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from netmap_reference.core.effects import (
    STLD,
    Do,
    Effect,
    Fence,
    Fired,
    Lock,
    ReadKernel,
    ReadUser,
    SelRecord,
    Sleep,
    Unlock,
    Wake,
    WriteKernel,
    WriteUser,
)

from .models import MODELS, Model
from .scenario import Memory, Scenario, ScenarioError
from .schedule import Move, Schedule, Violation, effect_text
from .state import Exploration, Next, State
from .threads import Threads

DEADLOCK = "no deadlock"
#: Nobody can go on, and one sleeps though what it waits for is there: TRUSTED-BASE.md says what is assumed.
LOST = "no lost wake-up"
BALANCE = "locks are balanced"
ORDER = "locks are taken in one order"
RAISED = "no exception"


class _Search:
    def __init__(self, scenario: Scenario, cap: int, stop: Callable[[str], bool]) -> None:
        self.scenario = scenario
        self.cap = cap
        self.stop = stop
        self.names = list(scenario.threads)
        self.found = Exploration()
        self.parents: dict[State, tuple[State, tuple[Move, ...]] | None] = {}
        self.taken: dict[tuple[str, str], tuple[State, int]] = {}
        self.model: Model = MODELS[scenario.model](scenario.weak)
        self.threads = Threads(scenario, self.model.idle, self.found.fired)

    # --- one move ---------------------------------------------------------------------------------

    def moves(self, state: State, thread: int, effect: Effect) -> Iterator[tuple[Any, State]]:
        """Every way this effect can happen now: its answer and the state afterwards (none: it blocks)."""
        weak = self.scenario.weak
        match effect:
            case ReadUser(where) | ReadKernel(where) if where in weak:
                for value, shared in self.model.read(state.weak, thread, where):
                    yield value, replace(state, weak=shared)
            case WriteUser(where, value) | WriteKernel(where, value) if where in weak:
                for shared in self.model.write(state.weak, thread, where, value):
                    yield None, replace(state, weak=shared)
            case Fence(kind):
                for shared in self.model.fence(state.weak, thread, kind):
                    yield None, replace(state, weak=shared)
            case _:
                for ordered in self._ordered(state, thread, effect):
                    yield from self._strong(ordered, thread, effect)

    def _ordered(self, state: State, thread: int, effect: Effect) -> Iterator[State]:
        """What orders everything waits for the thread's stores, and makes the thread see those of others."""
        calls = isinstance(effect, Do) and effect.what not in self.scenario.unordered
        if not self.scenario.weak or not (
            calls or isinstance(effect, (Lock, Unlock, SelRecord, Wake, Sleep))
        ):
            yield state
            return
        for shared in self.model.fence(state.weak, thread, STLD):
            yield replace(state, weak=shared)

    def _strong(self, state: State, thread: int, effect: Effect) -> Iterator[tuple[Any, State]]:
        """An effect that every thread sees at once."""
        match effect:
            case Lock(name):
                if not any(lock == name for lock, _ in state.locks):
                    yield None, replace(state, locks=state.locks | {(name, thread)})
            case Unlock(name):
                yield None, replace(state, locks=state.locks - {(name, thread)})
            case ReadUser(where):
                stored = self.scenario.adversary.get(where, ())
                here = (state.memory[where],) if where in state.memory or not stored else ()
                for value in dict.fromkeys((*here, *stored)):
                    yield value, state
            case ReadKernel(where):
                derive = self.scenario.derived.get(where)
                yield (state.memory[where] if derive is None else derive(state.memory)), state
            case WriteUser(where, value) | WriteKernel(where, value):
                yield None, replace(state, memory=state.memory.set((where, value)))
            case Do(what, args):
                if what not in self.scenario.do:
                    raise ScenarioError(f"nobody handles Do({what})")
                for answer, memory in self.scenario.do[what](state.memory, self.names[thread], args):
                    yield answer, replace(state, memory=memory)
            case SelRecord(selinfo):
                yield None, replace(state, queues=state.queues | {(selinfo, thread)})
            case Wake(selinfo):
                woken = {t for q, t in state.queues if q == selinfo}
                woken |= {t for channel, t in state.asleep if channel == selinfo}
                yield (
                    None,
                    replace(
                        state,
                        queues=frozenset((q, t) for q, t in state.queues if q != selinfo),
                        asleep=frozenset((c, t) for c, t in state.asleep if c != selinfo),
                        marked=state.marked | woken,
                    ),
                )
            case Sleep(channel):
                if thread in state.marked and (not channel or not self._slept(state, thread, channel)):
                    yield None, replace(state, marked=state.marked - {thread})
                elif channel and not any(t == thread for _, t in state.asleep):
                    yield Sleep, replace(state, asleep=state.asleep | {(channel, thread)})
            case Fired():
                yield None, state

    @staticmethod
    def _slept(state: State, thread: int, channel: str) -> bool:
        return (channel, thread) in state.asleep

    def misuse(self, state: State, thread: int, effect: Effect) -> str:
        """What is wrong with taking or giving back this lock here; empty when nothing is."""
        mine = {lock for lock, holder in state.locks if holder == thread}
        if isinstance(effect, Lock) and effect.name in mine:
            return f"{self.names[thread]} takes {effect.name}, which it holds"
        if isinstance(effect, Unlock) and effect.name not in mine:
            return f"{self.names[thread]} gives back {effect.name}, which it does not hold"
        if isinstance(effect, Lock):
            for held in mine:
                self.found.order.add((held, effect.name))
                self.taken.setdefault((held, effect.name), (state, thread))
        return ""

    # --- the search -------------------------------------------------------------------------------

    def run(self) -> Exploration:
        words = {w: v for w, v in self.scenario.memory.items() if w not in self.scenario.weak}
        shared = self.model.start(len(self.names), self.scenario.memory)
        start = State(tuple(self.threads.first), Memory(words), shared)
        self.parents[start] = None
        queue = deque([start])
        while queue:
            state = queue.popleft()
            self.found.states += 1
            self._check(state)
            moved = self._machine(state, queue)
            for thread in range(len(self.names)):
                upcoming = self.threads.next_of(state.places[thread])
                if upcoming.effect is None:
                    self._ended(state, thread, upcoming)
                    moved = self._over(state, thread, upcoming, queue) or moved
                    continue
                wrong = self.misuse(state, thread, upcoming.effect)
                if wrong:
                    self._violation(BALANCE, wrong, state)
                    continue
                for answer, after in self.moves(state, thread, upcoming.effect):
                    moved = True
                    if answer is Sleep:  # falls asleep: the effect is not over
                        answer = None
                    else:
                        after = self._at(after, thread, self.threads.after(after.places[thread], answer))
                    self._found(state, after, Move(self.names[thread], upcoming.effect, answer), queue)
            if not moved:
                self._stopped(state)
            if any(self.stop(v.property) for v in self.found.violations):
                break
            if len(self.parents) > self.cap:
                self.found.complete = False
                break
        self._cycles()
        return self.found

    def _at(self, state: State, thread: int, place: int) -> State:
        """The thread is at another place."""
        return replace(state, places=(*state.places[:thread], place, *state.places[thread + 1 :]))

    def _found(self, state: State, after: State, move: Move, queue: deque[State]) -> None:
        moves = [move]
        while (alone := self._alone(after)) is not None and self._holds(after):
            thread, effect = alone
            ways = list(self.moves(after, thread, effect))
            if len(ways) != 1:
                break
            answer, later = ways[0]
            moves.append(Move(self.names[thread], effect, answer))
            after = self._at(later, thread, self.threads.after(after.places[thread], answer))
        if after not in self.parents:
            self.parents[after] = (state, tuple(moves))
            queue.append(after)

    def _alone(self, state: State) -> tuple[int, Effect] | None:
        """A thread whose next step is taken at once, since it makes no difference to the others when it is:
        it touches only what nobody else does, or the memory model says so."""
        if self.scenario.weak or self.scenario.private:
            for thread in range(len(self.names)):
                effect = self.threads.next_of(state.places[thread]).effect
                if effect is not None and self._eager(effect):
                    return thread, effect
        return None

    def _eager(self, effect: Effect) -> bool:
        match effect:
            case ReadKernel(where) | ReadUser(where):
                return where in self.scenario.private
            case WriteKernel(where, _) | WriteUser(where, _):
                return where in self.scenario.private or (where in self.scenario.weak and self.model.hidden)
            case Fence(kind):
                return bool(self.scenario.weak) and self.model.own(kind)
        return False

    def _holds(self, state: State) -> bool:
        words = self._words(state)
        return all(holds(words) for holds in self.scenario.always.values())

    def _machine(self, state: State, queue: deque[State]) -> bool:
        """What the memory does on its own."""
        moved = False
        for thread, step, shared in self.model.drains(state.weak):
            moved = True
            self._found(state, replace(state, weak=shared), Move(self.names[thread], step, None), queue)
        return moved

    def _over(self, state: State, thread: int, end: Next, queue: deque[State]) -> bool:
        """A protocol that ended starts over, if its thread is one that never ends."""
        if end.error or self.names[thread] not in self.scenario.forever:
            return False
        after = self._at(state, thread, self.threads.first[thread])
        if after == state:
            return False
        self._found(state, after, Move(self.names[thread], Do("start-over"), None), queue)
        return True

    def _words(self, state: State) -> Memory:
        """All words of a state, as they are when everybody has seen everything."""
        if not self.scenario.weak:
            return state.memory
        return state.memory.set(*self.model.latest(state.weak).items())

    def _check(self, state: State) -> None:
        words = self._words(state)
        for name, holds in self.scenario.always.items():
            if not holds(words):
                self._violation(name, "does not hold", state)

    def _ended(self, state: State, thread: int, end: Next) -> None:
        if end.error:
            self._violation(RAISED, f"{self.names[thread]}: {end.error}", state)
        held = sorted(lock for lock, holder in state.locks if holder == thread)
        if held:
            self._violation(BALANCE, f"{self.names[thread]} ends with {', '.join(held)} held", state)

    def _stopped(self, state: State) -> None:
        """No thread can go on: all ended, or sleep rightly, or something is wrong."""
        results: dict[str, Any] = {}
        for thread, name in enumerate(self.names):
            upcoming = self.threads.next_of(state.places[thread])
            effect = upcoming.effect
            if effect is None:
                results[name] = upcoming.result
            elif isinstance(effect, Lock):
                holder = next((self.names[t] for lock, t in state.locks if lock == effect.name), "nobody")
                self._violation(
                    DEADLOCK, f"{name} waits for {effect.name}, held by {holder}, for good", state
                )
            elif isinstance(effect, Sleep):
                wanted: Callable[[Memory], bool] | None = self.scenario.waits.get(name)
                if wanted is not None and wanted(self._words(state)):
                    self._violation(LOST, f"{name} sleeps for good, what it waits for is there", state)
        if self.scenario.outcome is not None:
            outcome = self.scenario.outcome(self._words(state), results)
            if outcome not in self.found.outcomes:
                self.found.outcomes[outcome] = self._schedule(state)
        for name, holds in self.scenario.finally_.items():
            if not holds(self._words(state), results):
                self._violation(name, f"does not hold at the end: {results}", state)

    def _violation(self, name: str, what: str, state: State) -> None:
        if self.found.violated(name) is None:
            self.found.violations.append(Violation(name, what, self._schedule(state)))

    def _schedule(self, state: State) -> Schedule:
        moves: list[Move] = []
        at = state
        while (step := self.parents[at]) is not None:
            at, taken = step
            moves.extend(reversed(taken))
        standing = []
        for thread, name in enumerate(self.names):
            upcoming = self.threads.next_of(state.places[thread])
            held = sorted(lock for lock, holder in state.locks if holder == thread)
            text = (
                f"ended with {upcoming.result!r}"
                if upcoming.effect is None
                else f"at {effect_text(upcoming.effect)}"
            )
            standing.append(f"    {name}: {text}" + (f", holding {', '.join(held)}" if held else ""))
        changed = self._words(state).changed(self.scenario.memory)
        return Schedule(tuple(reversed(moves)), (*standing, f"    changed: {changed}"))

    def _cycles(self) -> None:
        """A cycle in "held while taking" means that some other timing would deadlock."""
        graph: dict[str, set[str]] = {}
        for held, wanted in self.found.order:
            graph.setdefault(held, set()).add(wanted)
        for first, second in sorted(self.found.order):
            reach, waiting = {second}, [second]
            while waiting:
                for each in graph.get(waiting.pop(), ()):
                    if each not in reach:
                        reach.add(each)
                        waiting.append(each)
            if first in reach:
                state, thread = self.taken[first, second]
                what = f"{self.names[thread]} takes {second} holding {first}; elsewhere it is the other way"
                self._violation(ORDER, what, state)
                return


def explore(
    scenario: Scenario, cap: int = 200_000, stop: Callable[[str], bool] = lambda goal: False
) -> Exploration:
    """Search all interleavings of a scenario, up to ``cap`` states.

    ``stop`` accepts the properties whose first violation ends the search. Raises :class:`ScenarioError`
    when the scenario leaves an effect unanswered.
    """
    return _Search(scenario, cap, stop).run()
