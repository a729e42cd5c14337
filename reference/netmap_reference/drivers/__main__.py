"""``python -m netmap_reference.drivers``: models must be accepted, planted drivers refused by their clause.

Exit codes: 0 when that is so, 1 when it is not, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import sys

from .checker import check
from .models import MODELS
from .planted import PLANTED


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m netmap_reference.drivers", description=__doc__)
    parser.add_argument("--slots", type=int, default=3, help="slots of a ring")
    parser.add_argument("--depth", type=int, default=7, help="moves in a row")
    args = parser.parse_args(argv)
    if args.slots < 2 or args.depth < 1:
        parser.error("--slots is at least 2 and --depth at least 1")
    wrong = 0
    for driver in MODELS:
        found = check(driver, args.slots, args.depth)
        print(f"{driver.name}: {found.states} states, {found.steps} steps", end=": ")
        print(found.refusal or "accepted")
        wrong += found.refusal is not None
    for driver, clause in PLANTED:
        found = check(driver, args.slots, args.depth)
        refused = found.refusal is not None and found.refusal.clause == clause
        print(f"{'refused' if refused else 'NOT REFUSED'} by {clause}: {driver.name}")
        if found.refusal is not None:
            print(f"    {found.refusal.clause}: {found.refusal.what}; after {', '.join(found.refusal.moves)}")
        wrong += not refused
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
