"""``python -m netmap_native.peer DEVICE``: the process behind :class:`~netmap_native.Peer`.

One JSON object a line: ``{"op": "open"}`` is answered by ``{"ret": 5, "errno": 0}``. Everything it holds goes
with the process, as with any other.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from netmap_spec.abi import api14

from ._library import DeviceMissing, NotBuilt

HEADER_OPTIONS, HEADER_BODY = 72, 80


class Server:
    """The device, and the mappings by descriptor."""

    def __init__(self, device: str) -> None:
        from .device import Device

        self.device = Device(device)
        self.memory: dict[int, Any] = {}

    def open(self) -> dict[str, Any]:
        ret, code = self.device.open()
        return {"ret": ret, "errno": code}

    def ioctl(self, fd: int, code: int) -> dict[str, Any]:
        ret, errno = self.device.ioctl(fd, code)
        return {"ret": ret, "errno": errno}

    def control(self, fd: int, header: str, body: str | None) -> dict[str, Any]:
        head = bytearray.fromhex(header)
        content = None if body is None else bytearray.fromhex(body)
        at = 0 if content is None else self.device.address(content)
        head[HEADER_OPTIONS:HEADER_BODY] = bytes(8)
        head[HEADER_BODY : HEADER_BODY + 8] = at.to_bytes(8, "little")
        ret, errno = self.device.ioctl(fd, api14.IOCTLS["linux"]["NIOCCTRL"], head)
        answer = {"ret": ret, "errno": errno, "header": head.hex()}
        return answer if content is None else answer | {"body": content.hex()}

    def mmap(self, fd: int, length: int, prot: int, flags: int, offset: int) -> dict[str, Any]:
        memory, errno = self.device.mmap(fd, length, prot, flags, offset)
        if memory is not None:
            self.memory[fd] = memory
        return {"errno": errno}

    def munmap(self, fd: int) -> dict[str, Any]:
        return {"errno": self.device.munmap(self.memory.pop(fd, None))}

    def read(self, fd: int, offset: int, length: int) -> dict[str, Any]:
        return {"hex": bytes(self.memory[fd][offset : offset + length]).hex()}

    def write(self, fd: int, offset: int, hex: str) -> dict[str, Any]:
        data = bytes.fromhex(hex)
        self.memory[fd][offset : offset + len(data)] = data
        return {}

    def poll(self, fd: int, events: int, timeout_ms: int) -> dict[str, Any]:
        ret, revents, errno = self.device.poll(fd, events, timeout_ms)
        return {"ret": ret, "revents": revents, "errno": errno}

    def close(self, fd: int) -> dict[str, Any]:
        return {"errno": self.device.close(fd)}


OPERATIONS = frozenset({"open", "ioctl", "control", "mmap", "munmap", "read", "write", "poll", "close"})


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m netmap_native.peer DEVICE", file=sys.stderr)
        return 2
    try:
        server = Server(arguments[0])
    except (NotBuilt, DeviceMissing) as error:
        print(error, file=sys.stderr)
        return 3
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            request = json.loads(line)
            op = request.pop("op")
            if op not in OPERATIONS:
                raise ValueError(f"unknown operation '{op}'")
            answer = getattr(server, op)(**request)
        except (ValueError, TypeError, KeyError) as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
