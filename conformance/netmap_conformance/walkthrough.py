"""The generated parts of ``reference/netmap_proofs/WALKTHROUGH.md``: verdicts, counterexamples, sources.

A block of the page is a comment that says what belongs into it, and a fence::

    <!-- generated: verdict 14.ring.tx-prologue -->
    ```text
    …
    ```

``python -m netmap_conformance.walkthrough`` fills the page in; a test holds that it is what the tool says.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .commands.prove import describe

if TYPE_CHECKING:
    from netmap_proofs.judge import Result

_BLOCK = re.compile(
    r"(<!-- generated: (?P<what>[a-z]+) (?P<args>.+?) -->\n```(?P<kind>\w*)\n).*?(^```$)", re.S | re.M
)


def page() -> Path:
    """Where the page is."""
    import netmap_proofs

    return Path(netmap_proofs.__file__).with_name("WALKTHROUGH.md")


@cache
def judged(id: str) -> Result:
    """An obligation's result; each is run once."""
    from netmap_proofs.judge import judge
    from netmap_proofs.obligations import load

    return judge(load()[id])


def _verdict(id: str) -> Iterator[str]:
    """The verdict, every goal with its own, and what the control came to."""
    result = judged(id)
    yield f"{id}: {result.verdict} on {result.paths} paths" + (
        f", {result.finding}" if result.finding else ""
    )
    width = max(map(len, result.goals))
    for goal, verdict in result.goals.items():
        yield f"  {goal:{width}}  {verdict}"
    yield f"  control ({result.control['what']}): {result.control['verdict']}"


def _counterexample(args: str) -> Iterator[str]:
    """``ID / GOAL``: the counterexample of one goal, with its pictures."""
    id, goal = args.split(" / ")
    found = next(c for c in judged(id).counterexamples if c["goal"] == goal)
    yield from (line.rstrip() for line in describe(id, found) if line)


def _source(args: str) -> Iterator[str]:
    """``MODULE.FUNCTION``: its code, without the docstring."""
    module, _, name = args.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    lines = inspect.getsource(function)
    if function.__doc__:
        lines = re.sub(r'\n    """.*?"""', "", lines, count=1, flags=re.S)
    yield from lines.rstrip().splitlines()


KINDS: dict[str, Callable[[str], Iterator[str]]] = {
    "verdict": _verdict,
    "counterexample": _counterexample,
    "source": _source,
}


def filled(text: str) -> str:
    """The page with every generated block as the tool has it now. ``KeyError`` for a kind there is not."""

    def block(match: re.Match[str]) -> str:
        lines = KINDS[match["what"]](match["args"])
        return match[1] + "".join(line + "\n" for line in lines) + "```"

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    page().write_text(filled(page().read_text(encoding="utf-8")), encoding="utf-8")
