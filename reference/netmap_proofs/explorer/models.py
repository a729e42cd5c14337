"""Memory models: what a load may see, and when a store is seen by others.

A model keeps the words two sides share; threads are numbered. Each operation yields every way it can
go; no way at all means that the thread has to wait.

* :class:`Sequential` (SC): one memory, every store is seen at once.
* :class:`StoreBuffers` (TSO; x86, SPARC): a store waits in its thread's buffer, in order, and is seen by
  that thread alone until it drains.
* :class:`Views` (RA): relaxed loads and stores with release, acquire and full fences. Each word has the
  list of its stores; a thread's *view* says how far along each list it must be. A load sees any store not
  behind the view, and what else was known to its writer when it passed a store-store barrier becomes known
  to the reader when it passes a load-load barrier. Loads stay before later stores of the same thread, so load
  buffering, which ARM and POWER allow, is not explored.

Where several stores to one word by different threads are possible, :class:`Views` orders them in every
way. What no view can see any more is dropped, so a protocol that goes round has finitely many states.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from netmap_reference.core.effects import LDLD, STST

Where = tuple[Any, ...]
#: How far along each word's list of stores, in the order of the model's words.
View = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """The oldest store of a thread's buffer reaches the memory; a step of the machine, not of a protocol."""

    where: Where
    value: Any


class Model(Protocol):
    """What the search asks of a memory model; ``m`` is the model's own state of the shared words."""

    name: str
    #: A store changes nothing for others at once: making it early allows the same behaviours.
    hidden: bool

    def start(self, threads: int, words: Mapping[Where, Any]) -> Hashable: ...

    def read(self, m: Any, thread: int, where: Where) -> Iterable[tuple[Any, Any]]:
        """Every ``(value, state)`` of a load."""
        ...

    def write(self, m: Any, thread: int, where: Where, value: Any) -> Iterable[Any]: ...

    def fence(self, m: Any, thread: int, kind: str) -> Iterable[Any]: ...

    def idle(self, kind: str) -> bool:
        """Does a barrier of this kind mean nothing?"""
        ...

    def own(self, kind: str) -> bool:
        """Does a barrier of this kind change nothing but the thread's own state?"""
        ...

    def drains(self, m: Any) -> Iterable[tuple[int, Drain, Any]]:
        """What the machine may do on its own: ``(thread, step, state)``."""
        ...

    def latest(self, m: Any) -> Mapping[Where, Any]:
        """The words as they are when everything has been seen by everybody."""
        ...


# --- sequential consistency -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Flat:
    """One value a word, in the model's order of words."""

    values: tuple[Any, ...]


class Sequential:
    """One memory for all."""

    name = "SC"
    hidden = False

    def __init__(self, words: Iterable[Where]) -> None:
        self.words = tuple(sorted(words, key=repr))
        self.at = {where: i for i, where in enumerate(self.words)}

    def start(self, threads: int, words: Mapping[Where, Any]) -> _Flat:
        return _Flat(tuple(words[w] for w in self.words))

    def read(self, m: _Flat, thread: int, where: Where) -> Iterator[tuple[Any, _Flat]]:
        yield m.values[self.at[where]], m

    def write(self, m: _Flat, thread: int, where: Where, value: Any) -> Iterator[_Flat]:
        yield _Flat(_put(m.values, self.at[where], value))

    def fence(self, m: _Flat, thread: int, kind: str) -> Iterator[_Flat]:
        yield m

    def idle(self, kind: str) -> bool:
        return True

    def own(self, kind: str) -> bool:
        return True

    def drains(self, m: _Flat) -> Iterator[tuple[int, Drain, _Flat]]:
        yield from ()

    def latest(self, m: _Flat) -> Mapping[Where, Any]:
        return dict(zip(self.words, m.values, strict=True))


# --- total store order ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Buffered:
    """The memory, and what waits in each thread's buffer, oldest first: (word's number, value)."""

    values: tuple[Any, ...]
    buffers: tuple[tuple[tuple[int, Any], ...], ...]


class StoreBuffers:
    """A store buffer for each thread, first in first out, with forwarding."""

    name = "TSO"
    hidden = True

    def __init__(self, words: Iterable[Where]) -> None:
        self.words = tuple(sorted(words, key=repr))
        self.at = {where: i for i, where in enumerate(self.words)}

    def start(self, threads: int, words: Mapping[Where, Any]) -> _Buffered:
        return _Buffered(tuple(words[w] for w in self.words), ((),) * threads)

    def read(self, m: _Buffered, thread: int, where: Where) -> Iterator[tuple[Any, _Buffered]]:
        word = self.at[where]
        own = [value for w, value in m.buffers[thread] if w == word]
        yield (own[-1] if own else m.values[word]), m

    def write(self, m: _Buffered, thread: int, where: Where, value: Any) -> Iterator[_Buffered]:
        waiting = (*m.buffers[thread], (self.at[where], value))
        yield replace(m, buffers=_put(m.buffers, thread, waiting))

    def fence(self, m: _Buffered, thread: int, kind: str) -> Iterator[_Buffered]:
        """Only a barrier between a store and a later load means anything here: the buffer must be empty."""
        if self.idle(kind) or not m.buffers[thread]:
            yield m

    def idle(self, kind: str) -> bool:
        return kind in (STST, LDLD)

    def own(self, kind: str) -> bool:
        return self.idle(kind)

    def drains(self, m: _Buffered) -> Iterator[tuple[int, Drain, _Buffered]]:
        for thread, waiting in enumerate(m.buffers):
            if waiting:
                word, value = waiting[0]
                after = _Buffered(_put(m.values, word, value), _put(m.buffers, thread, waiting[1:]))
                yield thread, Drain(self.words[word], value), after

    def latest(self, m: _Buffered) -> Mapping[Where, Any]:
        return dict(zip(self.words, m.values, strict=True))


# --- release and acquire ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Store:
    """A store in its word's list: its value, and what a reader who acquires it comes to know."""

    value: Any
    view: View


@dataclass(frozen=True, slots=True)
class _Thread:
    """A thread's views: what it must see (``now``), what a load-load barrier would add (``read``), and what
    its stores carry since its last store-store barrier (``release``)."""

    now: View
    read: View
    release: View


@dataclass(frozen=True, slots=True)
class _Viewed:
    """Every word's stores in their order, the threads, and the view that full fences pass on."""

    stores: tuple[tuple[_Store, ...], ...]
    threads: tuple[_Thread, ...]
    full: View


class Views:
    """Relaxed accesses with release, acquire and full fences, by views."""

    name = "RA"
    hidden = True

    def __init__(self, words: Iterable[Where]) -> None:
        self.words = tuple(sorted(words, key=repr))
        self.at = {where: i for i, where in enumerate(self.words)}

    def start(self, threads: int, words: Mapping[Where, Any]) -> _Viewed:
        first = (0,) * len(self.words)
        stores = tuple((_Store(words[w], first),) for w in self.words)
        return _Viewed(stores, (_Thread(first, first, first),) * threads, first)

    def read(self, m: _Viewed, thread: int, where: Where) -> Iterator[tuple[Any, _Viewed]]:
        word, t = self.at[where], m.threads[thread]
        for i in range(t.now[word], len(m.stores[word])):
            store = m.stores[word][i]
            now = _put(t.now, word, i)
            got = replace(t, now=now, read=_join(_join(t.read, store.view), now))
            yield store.value, self._kept(replace(m, threads=_put(m.threads, thread, got)))

    def write(self, m: _Viewed, thread: int, where: Where, value: Any) -> Iterator[_Viewed]:
        """The store comes anywhere behind those the thread must see; later ones move on by one."""
        word = self.at[where]
        for i in range(m.threads[thread].now[word] + 1, len(m.stores[word]) + 1):
            moved = m if i == len(m.stores[word]) else self._moved(m, word, i)
            t = moved.threads[thread]
            now = _put(t.now, word, i)
            store = _Store(value, _put(t.release, word, i))
            listed = (*moved.stores[word][:i], store, *moved.stores[word][i:])
            wrote = replace(t, now=now, read=_join(t.read, now))
            after = replace(
                moved,
                stores=_put(moved.stores, word, listed),
                threads=_put(moved.threads, thread, wrote),
            )
            yield self._kept(after)

    def fence(self, m: _Viewed, thread: int, kind: str) -> Iterator[_Viewed]:
        t, full = m.threads[thread], m.full
        if kind == STST:
            t = replace(t, release=t.now)
        elif kind == LDLD:
            t = replace(t, now=t.read)
        else:
            full = _join(full, t.read)
            t = _Thread(full, full, full)
        yield self._kept(replace(m, threads=_put(m.threads, thread, t), full=full))

    def idle(self, kind: str) -> bool:
        return False

    def own(self, kind: str) -> bool:
        return kind in (STST, LDLD)

    def drains(self, m: _Viewed) -> Iterator[tuple[int, Drain, _Viewed]]:
        yield from ()

    def latest(self, m: _Viewed) -> Mapping[Where, Any]:
        return {where: m.stores[i][-1].value for i, where in enumerate(self.words)}

    @staticmethod
    def _moved(m: _Viewed, word: int, start: int) -> _Viewed:
        """Room for a store at place ``start`` of a word's list: who points there or behind points one on."""

        def shift(view: View) -> View:
            return _put(view, word, view[word] + 1) if view[word] >= start else view

        return _each(m, shift, lambda word, stores: stores)

    def _kept(self, m: _Viewed) -> _Viewed:
        """Without the stores that nobody can see any more."""
        least = tuple(min(t.now[i] for t in m.threads) for i in range(len(self.words)))
        if not any(least):
            return m

        def shift(view: View) -> View:
            return tuple(max(0, x - by) for x, by in zip(view, least, strict=True))

        return _each(m, shift, lambda word, stores: stores[least[word] :])


def _each(m: _Viewed, view: Any, keep: Any) -> _Viewed:
    """The state with every view and every list of stores replaced."""
    return _Viewed(
        tuple(
            tuple(_Store(s.value, view(s.view)) for s in keep(word, stores))
            for word, stores in enumerate(m.stores)
        ),
        tuple(_Thread(view(t.now), view(t.read), view(t.release)) for t in m.threads),
        view(m.full),
    )


def _join(a: View, b: View) -> View:
    return tuple(map(max, a, b))


def _put(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


#: The models, weakest last.
MODELS: dict[str, type[Sequential] | type[StoreBuffers] | type[Views]] = {
    "SC": Sequential,
    "TSO": StoreBuffers,
    "RA": Views,
}
