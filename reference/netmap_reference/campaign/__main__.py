"""``python -m netmap_reference.campaign --generation 2011 --operations 1000000 --seed 1``.

Exit codes: 0 all well, 1 a violation was found or a rule never fired, 2 the command line is wrong,
4 a trace cannot be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .registry import GENERATIONS
from .runner import EPISODE, WHOLE_EVERY, Figures, run
from .subject import Generation
from .traces import load

#: Below this many operations a rule that never fired is told, but not held against the campaign.
ENOUGH = 100_000
#: A campaign that takes long says every so many operations how far it is.
TOLD_EVERY = 50_000


def summary(generation: Generation, figures: Figures) -> dict[str, Any]:
    """The figures as plain data."""
    return {
        "generation": generation.name,
        "seed": figures.seed,
        "operations": figures.operations,
        "episodes": figures.episodes,
        "whole_checks": figures.whole_checks,
        "seconds": round(figures.seconds, 2),
        "operations_per_second": round(figures.operations / figures.seconds) if figures.seconds else None,
        "profiles": dict(sorted(figures.profiles.items())),
        "kinds": dict(sorted(figures.kinds.items())),
        "rules": dict(sorted(figures.rules.items())),
        "rules_never_fired": figures.never(generation),
        "rules_unreachable": dict(generation.unreachable),
        "violations": [
            {
                **v.broken._asdict(),
                "episode": v.episode,
                "operation": v.operations,
                "shrunk": [op for unit in v.units for op in unit],
                "trace": str(v.path) if v.path else None,
            }
            for v in figures.violations
        ],
    }


def report(generation: Generation, figures: Figures) -> list[str]:
    """The figures in lines of text."""
    rate = figures.operations / figures.seconds if figures.seconds else 0
    reachable = generation.rules - set(generation.unreachable)
    never = figures.never(generation)
    lines = [
        f"generation {generation.name}, contract reading, seed {figures.seed}: "
        f"{figures.operations} operations on {figures.episodes} machines in "
        f"{figures.seconds:.1f} s ({rate:.0f}/s), {figures.whole_checks} whole checks",
        "operations: " + ", ".join(f"{kind} {n}" for kind, n in sorted(figures.kinds.items())),
        f"rules: {len(reachable) - len(never)} of {len(reachable)} fired; "
        f"{len(generation.unreachable)} more are out of a campaign's reach, or nearly:",
        *(f"  {name}: {why}" for name, why in sorted(generation.unreachable.items())),
        *(f"rule {name} never fired" for name in never),
        *(f"rule {name} fired all the same" for name in generation.unreachable if figures.rules[name]),
        f"violations: {len(figures.violations)}",
    ]
    for v in figures.violations:
        lines.append(f"  {v.broken}; episode {v.episode}, operation {v.operations}; shrunk to:")
        lines += [f"    {op} {json.dumps(args)}" for unit in v.units for op, args in unit]
        if v.path:
            lines.append(f"    saved as {v.path}")
    return lines


def again(path: Path) -> int:
    """Replay a saved trace: 1 when something breaks, 0 when nothing does."""
    from .runner import replay

    header, units = load(path)
    if header["generation"] not in GENERATIONS:
        raise ValueError(f"{path}:1: there is no generation {header['generation']}")
    broken = replay(GENERATIONS[header["generation"]](), header, units)
    print(f"{path}: {broken or 'nothing breaks'}")
    return 1 if broken else 0


def said(total: int) -> Callable[[Figures], None]:
    """What tells on stderr how far a campaign of ``total`` operations is: a line every ``TOLD_EVERY``."""
    last = 0

    def progress(figures: Figures) -> None:
        nonlocal last
        if figures.operations - last >= TOLD_EVERY:
            last = figures.operations
            print(
                f"{last} of {total} operations, {figures.episodes} machines, {figures.seconds:.0f} s, "
                f"violations: {len(figures.violations)}",
                file=sys.stderr,
                flush=True,
            )

    return progress


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m netmap_reference.campaign", description=__doc__)
    parser.add_argument("--generation", choices=sorted(GENERATIONS), default="2011")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episode", type=int, default=EPISODE, help="operations of one machine")
    parser.add_argument(
        "--whole-every", type=int, default=WHOLE_EVERY, help="how often everything is checked"
    )
    parser.add_argument("--traces", type=Path, default=Path("build/campaign"), help="where violations go")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--replay", type=Path, help="replay a saved trace instead")
    args = parser.parse_args(argv)
    if min(args.operations, args.episode, args.whole_every) < 1:
        parser.error("--operations, --episode and --whole-every are positive numbers")
    try:
        if args.replay:
            return again(args.replay)
        generation = GENERATIONS[args.generation]()
        print(f"seed {args.seed}", file=sys.stderr)
        figures = run(
            generation,
            args.operations,
            args.seed,
            traces=args.traces,
            episode=args.episode,
            whole_every=args.whole_every,
            progress=said(args.operations),
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2 if args.replay else 4
    if args.json:
        print(json.dumps(summary(generation, figures), indent=2))
    else:
        print("\n".join(report(generation, figures)))
    starved = figures.operations >= ENOUGH and figures.never(generation)
    return 1 if figures.violations or starved else 0


if __name__ == "__main__":
    sys.exit(main())
