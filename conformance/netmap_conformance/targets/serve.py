"""The other side of ``exec:``: serves one target on stdin and stdout.

    python -m netmap_conformance.targets.serve TARGET [--device D] [--manifest M] [--policy P] [--seed N]

The suite runs targets that may crash or hang (the native ones) this way, so that the fault of a
call is an observation about the call and not the end of the suite. It is also the smallest complete
example of the protocol of :mod:`netmap_conformance.targets.exec`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

import msgspec

from .. import manifest as manifests
from ..expressions import ExpressionError, no_address
from ..manifest import Manifest
from ..trace import Call, Header
from . import open_here
from .base import Target, TargetError
from .mapping import MappingError


def main(argv: list[str]) -> int:
    """Serve until ``stop`` or the end of stdin."""
    parser = argparse.ArgumentParser(prog="serve")
    parser.add_argument("target")
    parser.add_argument("--device", default="")
    parser.add_argument("--manifest", default="")
    parser.add_argument("--manifest-json", default="")
    parser.add_argument("--policy", default="")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(argv)
    # What a library prints must not get between the answers: stdout is kept for the protocol alone.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message, separators=(",", ":")) + "\n")

    target: Target | None = None
    for line in sys.stdin:
        message = json.loads(line)
        ev = message["ev"]
        try:
            if target is None:
                target = open_here(
                    options.target, _manifest(options), options.device, options.seed, options.policy
                )
            if ev == "hello":
                say({"ev": "ready", "name": target.name, "capabilities": sorted(target.capabilities())})
            elif ev == "start":
                target.start(msgspec.convert(message["header"], Header))
                say({"ev": "started"})
            elif ev == "call":
                _call(target, msgspec.convert(message, Call), say)
            elif ev == "look":
                say(
                    {
                        "ev": "see",
                        "see": msgspec.to_builtins(target.look(message["fd"], message.get("actor", "main"))),
                    }
                )
            elif ev == "address":
                where = getattr(target, "address", no_address)
                say({"ev": "address", "address": where(message["fd"], message["ring"], message["index"])})
            elif ev == "quiet":
                say({"ev": "quiet", "quiet": target.quiet()})
            elif ev == "stop":
                target.stop()
                say({"ev": "stopped"})
                return 0
            else:
                say({"ev": "error", "message": f"unknown message '{ev}'", "status": 2})
        except MappingError as error:
            say({"ev": "see", "see": {}, "why": str(error)})
        except ExpressionError as error:
            say({"ev": "error", "message": str(error), "status": 2})
        except (TargetError, manifests.ManifestError) as error:
            say({"ev": "error", "message": str(error), "status": getattr(error, "status", 2)})
    if target is not None:
        target.stop()
    return 0


def _manifest(options: argparse.Namespace) -> Manifest:
    if options.manifest_json:
        return msgspec.json.decode(options.manifest_json, type=Manifest)
    return manifests.load(options.manifest or options.target.split(":")[0])


def _call(target: Target, call: Call, say: Any) -> None:
    done = target.call(call)
    for finished in target.finished():
        say(msgspec.to_builtins(finished))
    say({"ev": "asleep", "of": call.n} if done is None else msgspec.to_builtins(done))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
