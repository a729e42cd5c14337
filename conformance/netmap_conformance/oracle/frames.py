"""Frames collected from a port, against those that the model let out there.

What left a port in one order is collected in that order. How soon it is there is the environment's
choice, so fewer may be collected than have left; the rest is expected next time.
"""

from __future__ import annotations

from ..trace import Call, Return
from .candidate import Candidate
from .requests import Mismatch


def compare_frames(c: Candidate, call: Call, done: Return) -> list[Mismatch]:
    """Take what was collected out of the candidate's inbox; what does not fit.

    With ``count`` 1 the operation waits for a single frame, gives its length as ``ret`` and shows its first
    ``prefix`` bytes; a return below 0 means that none came.
    """
    place = (str(call.args["port"]), str(call.args["side"]))
    inbox = c.inbox.get(place, ())
    if call.args.get("count") == 1:
        return _one(c, place, inbox, done)
    seen = [bytes.fromhex(text) for text in (done.see.frames if done.see and done.see.frames else [])]
    for i, data in enumerate(seen):
        if i >= len(inbox):
            return [Mismatch("frames", f"{len(inbox)} frames", f"{len(seen)} frames")]
        if data != inbox[i]:
            return [Mismatch("frames", f"frame {i} {inbox[i].hex()}", data.hex())]
    c.inbox[place] = inbox[len(seen) :]
    return []


def _one(c: Candidate, place: tuple[str, str], inbox: tuple[bytes, ...], done: Return) -> list[Mismatch]:
    if done.ret <= 0:
        return []
    if not inbox:
        return [Mismatch("frames", "no frame", f"a frame of {done.ret} bytes")]
    prefix = bytes.fromhex((done.see.frames or [""])[0]) if done.see else b""
    if len(inbox[0]) != done.ret or not inbox[0].startswith(prefix):
        words = f"a frame of {len(inbox[0])} bytes, {inbox[0][: len(prefix)].hex()}"
        return [Mismatch("frames", words, f"{done.ret} bytes, {prefix.hex()}")]
    c.inbox[place] = inbox[1:]
    return []
