"""The values a campaign of generation 2011 chooses from: good ones, the edges, and hostile ones."""

from __future__ import annotations

from random import Random
from typing import Any

from ...gen2011.control import BIOC
from ...gen2011.memory import BUF_SIZE
from ...gen2011.register import HW_RING, NO_TX_POLL, SW_RING

#: Names that no interface of the machine has.
STRANGERS = ("em9", "x" * 15)
#: Requests that are ignored, and requests netmap does not know.
CODES = (*sorted(BIOC), 0, 0x20006996, 0xC020690A)
OFFSETS = (0, 0, 4096, 8192, -4096, -(1 << 40), 1 << 33)
#: POLLIN, POLLOUT, POLLRDNORM in every combination, bits that mean nothing here, and nothing.
EVENTS = (0, 1, 1, 4, 4, 5, 5, 64, 65, 68, 69, 2, 8, 0x80, 0xFFFF)
U32 = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LENGTHS = (14, 60, 64, 1514, BUF_SIZE)
ANY_LENGTH = (*LENGTHS, 0, 13, BUF_SIZE + 1, 0xFFFF)
#: What wild users store into the words of a ring that only the kernel writes.
HEADER = (
    ("num_slots", 0),
    ("num_slots", 0xFFFFFFFF),
    ("nr_buf_size", 0),
    ("nr_buf_size", 0xFFFF),
    ("buf_ofs", 0),
    ("buf_ofs", -(1 << 62)),
    ("buf_ofs", 1 << 62),
    ("ts_sec", -1),
)
VERBOSE = (0, 0, 0, 2, 0x20, 0x8000, 0xFFFF)
_FRAMES = tuple(byte.hex() * length for byte in (b"\x11", b"\xa5") for length in (14, 20, 60))
_LARGE = tuple("5a" * length for length in (1, 1514, BUF_SIZE))
_TOO_LONG = "77" * (BUF_SIZE + 1)


def frame(rng: Random, too_long: bool = False) -> str:
    """A frame in hexadecimal digits, mostly short; ``too_long``: one byte longer than a buffer."""
    if too_long:
        return _TOO_LONG
    return rng.choice(_LARGE) if rng.random() < 0.03 else rng.choice(_FRAMES)


def ringid(rng: Random, profile: str) -> int:
    """A ring selection of every form: all rings, one, the host's, rings there are not, unused bits."""
    form = rng.choice((0, 0, HW_RING, HW_RING | 1, HW_RING | 2, SW_RING, SW_RING))
    if profile != "good" and rng.random() < 0.2:
        form = rng.choice(
            (HW_RING | SW_RING, SW_RING | 7, HW_RING | 0xFFF, 0x8000, 5, rng.randrange(1 << 16))
        )
    return form | (NO_TX_POLL if rng.random() < 0.3 else 0)


def config(rng: Random) -> dict[str, Any]:
    """A machine: two or three interfaces with tiny rings, a pool that sometimes is too small."""
    ifs = []
    for i in range(rng.randint(2, 3)):
        ifs.append(
            {
                "name": f"em{i}",
                "num_queues": rng.choice((1, 1, 2, 3)),
                "num_tx_desc": rng.choice((2, 3, 4, 5)),
                "num_rx_desc": rng.choice((2, 3, 4, 5)),
                "separate_locks": rng.randint(0, 1),
                "own_locks": rng.randint(0, 1),
                "auto_tx": rng.randint(0, 1),
            }
        )
    if rng.random() < 0.2:
        ifs.append({"name": "lo0", "num_queues": 1, "num_tx_desc": 2, "num_rx_desc": 2, "capable": 0})
    buffers, size = rng.choice((32, 40, 70, 100)), rng.choice((900, 1500, 2500, 3500))
    return {"pool_limit": 1 << 20, "n_buffers": buffers, "ring_bytes": size, "ifs": ifs}


def header(rng: Random) -> dict[str, Any]:
    """A machine and its users."""
    return {"profile": rng.choice(("good", "bad", "bad", "wild", "wild")), "config": config(rng)}
