"""Generate the Python views and the C headers from the measured ABI tables.

``python -m netmap_spec.abi.generate`` rewrites ``generated/*.py`` and, in a checkout of the whole
project, ``native/include/netmap_verify/abi_*.h``; ``--check`` only tells whether they are what the
tables say (exit 1 if not).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .emit_c import asserting_header, declaring_header
from .emit_python import python_module
from .measured import GENERATIONS, SAME, stem, tables

HERE = Path(__file__).parent

#: Every version that has views and assertions of its own, oldest first.
VERSIONS = tuple(version for version in tables() if version not in SAME)

#: Those whose declarations our own C code is built with.
DECLARED = tuple(GENERATIONS.values())

#: Where the C headers live in a checkout; the folder is not part of the installed package.
HEADERS = HERE.parents[2] / "native" / "include" / "netmap_verify"


def expected() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    files: dict[Path, str] = {}
    for version in VERSIONS:
        files[HERE / "generated" / f"{stem(version)}.py"] = python_module(version)
        if HEADERS.parents[1].is_dir():
            files[HEADERS / f"abi_assert_{stem(version)}.h"] = asserting_header(version)
            if version in DECLARED:
                files[HEADERS / f"abi_{stem(version)}.h"] = declaring_header(version)
    return files


def stale() -> list[Path]:
    """The generated files that are missing or not what the tables say."""
    return [
        path
        for path, text in expected().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main(argv: list[str] | None = None) -> int:
    """Write or check every generated file."""
    parser = argparse.ArgumentParser(prog="python -m netmap_spec.abi.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    args = parser.parse_args(argv)
    found = stale()
    for path in found:
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected()[path], encoding="utf-8")
        print(("stale: " if args.check else "wrote: ") + path.name)
    return 1 if found and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
