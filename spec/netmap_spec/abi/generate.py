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
from .measured import GENERATIONS

HERE = Path(__file__).parent

#: generation -> (key in tables.json, module and header stem)
VERSIONS = {"2011": (GENERATIONS["2011"], "api2011"), "14": (GENERATIONS["14"], "api14")}

#: Where the C headers live in a checkout; the folder is not part of the installed package.
HEADERS = HERE.parents[2] / "native" / "include" / "netmap_verify"


def expected() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    files: dict[Path, str] = {}
    for generation, (_, stem) in VERSIONS.items():
        files[HERE / "generated" / f"{stem}.py"] = python_module(generation)
        if HEADERS.parents[1].is_dir():
            files[HEADERS / f"abi_{stem}.h"] = declaring_header(generation, stem)
            files[HEADERS / f"abi_assert_{stem}.h"] = asserting_header(generation, stem)
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
