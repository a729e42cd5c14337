"""Typed views over bytes: what a C program sees through a struct pointer.

A view is a memory and an offset. The memory is anything with ``read(offset, length) -> bytes`` and
``write(offset, data)``: the model's region, a mapping of the real device, a recorded buffer. Fields
are little-endian, as on every machine the tables were measured on.
"""

from __future__ import annotations

import struct
from typing import Any, Protocol, overload


class Bytes(Protocol):
    """A memory a view can look at. Offsets are bytes from its start."""

    def read(self, offset: int, length: int, /) -> bytes: ...
    def write(self, offset: int, data: bytes, /) -> None: ...


class Buffer:
    """A writable Python buffer (``bytearray``, ``mmap``, ``memoryview``) as :class:`Bytes`."""

    __slots__ = ("_view",)

    def __init__(self, buffer: Any) -> None:
        self._view = memoryview(buffer).cast("B")

    def _check(self, offset: int, length: int) -> None:
        size = len(self._view)
        if offset < 0 or length < 0 or offset + length > size:
            raise IndexError(f"[{offset}, {offset + length}) is outside a buffer of {size} bytes")

    def read(self, offset: int, length: int, /) -> bytes:
        self._check(offset, length)
        return bytes(self._view[offset : offset + length])

    def write(self, offset: int, data: bytes, /) -> None:
        self._check(offset, len(data))
        self._view[offset : offset + len(data)] = data


class View:
    """A struct at ``off`` in ``mem``. Subclasses are generated from the measured tables."""

    SIZE = 0
    ALIGN = 1
    NAME = ""
    __slots__ = ("mem", "off")

    def __init__(self, mem: Bytes, off: int = 0) -> None:
        self.mem = mem
        self.off = off

    @classmethod
    def new(cls, extra: int = 0) -> Any:
        """A fresh zeroed struct with ``extra`` bytes behind it (for flexible arrays)."""
        return cls(Buffer(bytearray(cls.SIZE + extra)), 0)

    def tobytes(self, extra: int = 0) -> bytes:
        return self.mem.read(self.off, self.SIZE + extra)

    def fields(self) -> dict[str, Any]:
        """Every scalar and text field by name, in layout order."""
        found = {}
        for name, kind in vars(type(self)).items():
            if isinstance(kind, Int | Text):
                found[name] = getattr(self, name)
        return found


class Int:
    """An integer field: ``code`` is the :mod:`struct` letter, so the width and sign of the C type.

    Assigning a value that does not fit raises ``struct.error``; wrap it first where C would.
    """

    __slots__ = ("_codec", "offset", "size")

    def __init__(self, offset: int, code: str) -> None:
        self.offset = offset
        self._codec = struct.Struct("<" + code)
        self.size = self._codec.size

    @overload
    def __get__(self, view: None, owner: type[View]) -> Int: ...
    @overload
    def __get__(self, view: View, owner: type[View]) -> int: ...
    def __get__(self, view: View | None, owner: type[View]) -> Int | int:
        if view is None:
            return self
        value: int = self._codec.unpack(view.mem.read(view.off + self.offset, self.size))[0]
        return value

    def __set__(self, view: View, value: int) -> None:
        view.mem.write(view.off + self.offset, self._codec.pack(value))


class Text:
    """A ``char[n]``: reads up to the first NUL; writes as strlcpy does, cut to leave room for a NUL.

    A text that must not be cut, or bytes without a NUL, are written through ``view.mem``.
    """

    __slots__ = ("offset", "size")

    def __init__(self, offset: int, size: int) -> None:
        self.offset = offset
        self.size = size

    @overload
    def __get__(self, view: None, owner: type[View]) -> Text: ...
    @overload
    def __get__(self, view: View, owner: type[View]) -> str: ...
    def __get__(self, view: View | None, owner: type[View]) -> Text | str:
        if view is None:
            return self
        raw = view.mem.read(view.off + self.offset, self.size)
        return raw.split(b"\0", 1)[0].decode("latin-1")

    def __set__(self, view: View, value: str) -> None:
        raw = value.encode("latin-1")[: self.size - 1]
        view.mem.write(view.off + self.offset, raw.ljust(self.size, b"\0"))


class IntArray:
    """An integer array inside a struct; reads as a tuple. ``count`` 0 means a flexible array."""

    __slots__ = ("_codec", "count", "offset", "size")

    def __init__(self, offset: int, code: str, count: int) -> None:
        self.offset = offset
        self.count = count
        self._codec = struct.Struct("<" + code)
        self.size = self._codec.size * count

    def at(self, view: View, index: int) -> int:
        value: int = self._codec.unpack(
            view.mem.read(view.off + self.offset + index * self._codec.size, self._codec.size)
        )[0]
        return value

    def put(self, view: View, index: int, value: int) -> None:
        view.mem.write(view.off + self.offset + index * self._codec.size, self._codec.pack(value))

    def __get__(self, view: View | None, owner: type[View]) -> Any:
        if view is None:
            return self
        return BoundArray(self, view)


class BoundArray:
    """``view.field[i]`` for an :class:`IntArray`; of a flexible one, the memory is the only bound."""

    __slots__ = ("_array", "_view")

    def __init__(self, array: IntArray, view: View) -> None:
        self._array = array
        self._view = view

    def _index(self, index: int) -> int:
        if index < 0 or (self._array.count and index >= self._array.count):
            raise IndexError(index)
        return index

    def __getitem__(self, index: int) -> int:
        return self._array.at(self._view, self._index(index))

    def __setitem__(self, index: int, value: int) -> None:
        self._array.put(self._view, self._index(index), value)


class Struct:
    """A struct inside a struct, or (``count`` 0) a flexible array of structs behind it."""

    __slots__ = ("count", "kind", "offset")

    def __init__(self, offset: int, kind: type[View], count: int = 1) -> None:
        self.offset = offset
        self.kind = kind
        self.count = count

    def __get__(self, view: View | None, owner: type[View]) -> Any:
        if view is None:
            return self
        if self.count == 1:
            return self.kind(view.mem, view.off + self.offset)
        return BoundStructs(self, view)


class BoundStructs:
    """``ring.slot[i]``."""

    __slots__ = ("_field", "_view")

    def __init__(self, field: Struct, view: View) -> None:
        self._field = field
        self._view = view

    def __getitem__(self, index: int) -> Any:
        if index < 0 or (self._field.count and index >= self._field.count):
            raise IndexError(index)
        kind = self._field.kind
        return kind(self._view.mem, self._view.off + self._field.offset + index * kind.SIZE)
