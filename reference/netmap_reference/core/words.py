"""C integer types as plain functions over Python integers.

A value that is a C type in netmap goes through the helper of that type exactly where C would
convert it. The helpers use only ``%``, ``+`` and ``-``: run on an ``int`` they wrap exactly as C
does, run on a symbolic integer they build the same ``mod 2^k`` term. Nothing here may branch.
"""

from __future__ import annotations

U16 = 1 << 16
U32 = 1 << 32
U64 = 1 << 64
I32_MAX = (1 << 31) - 1


def u16(x: int) -> int:
    """``(uint16_t)x``."""
    return x % U16


def u32(x: int) -> int:
    """``(uint32_t)x``, also ``u_int`` on every platform netmap runs on."""
    return x % U32


def u64(x: int) -> int:
    """``(uint64_t)x``."""
    return x % U64


def i32(x: int) -> int:
    """``(int32_t)x``: two's complement, as every netmap platform has it."""
    return (x + (1 << 31)) % U32 - (1 << 31)


def i64(x: int) -> int:
    """``(int64_t)x``, also ``ssize_t`` on 64-bit platforms."""
    return (x + (1 << 63)) % U64 - (1 << 63)
