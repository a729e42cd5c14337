"""Running many obligations: selection, several processes, and the cache of results.

A result is cached under the hash of everything it depends on: the source of the obligation's module
and of every module of the project it imports, the z3 and Python versions, and which of its clauses
exist. A changed comment proves again; nothing stale is ever shown.
"""

from __future__ import annotations

import ast
import concurrent.futures
import fnmatch
import hashlib
import importlib.util
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import z3
from netmap_spec import clauses as spec_clauses

from .engine.code import PACKAGES
from .engine.smt2 import folder_of
from .judge import Result, from_json, judge
from .obligation import Obligation
from .obligations import load

#: Where results are kept, relative to the working directory.
CACHE = Path("build/prove-cache")


def select(pattern: str = "*") -> list[Obligation]:
    """The obligations whose id matches the glob, in their fixed order."""
    return [each for each in load().values() if fnmatch.fnmatchcase(each.id, pattern)]


# --- what a result depends on -------------------------------------------------------------------


@cache
def _file(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec is not None and spec.origin else None


@cache
def _imports(module: str) -> frozenset[str]:
    """The project's modules that a module imports, by reading its source."""
    file = _file(module)
    if file is None:
        return frozenset()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([base] if base else [])])
            found.add(base)
            for alias in node.names:
                candidate = f"{base}.{alias.name}"
                try:
                    if importlib.util.find_spec(candidate) is not None:
                        found.add(candidate)
                except ModuleNotFoundError:  # a name inside a module, not a module
                    continue
    return frozenset(m for m in found if m.split(".")[0] in PACKAGES)


def _modules(roots: Iterable[str]) -> list[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(_imports(module))
    return sorted(found)


def key(each: Obligation) -> str:
    """The content hash under which a result is cached, as 32 hex digits."""
    roots = {each.body.__module__, "netmap_proofs.judge", *(f.__module__ for f in each.functions)}
    digest = hashlib.sha256()
    digest.update(f"{each.id} z3 {z3.get_version_string()} python {sys.version_info[:2]}\n".encode())
    digest.update(repr([(c, c in spec_clauses.load()) for c in each.clauses]).encode())
    for module in _modules(roots):
        file = _file(module)
        if file is not None:
            digest.update(module.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _cached(each: Obligation, folder: Path) -> Result | None:
    file = folder / f"{key(each)}.json"
    try:
        result = from_json(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):  # absent, or written by another version
        return None
    result.cached = True
    return result


def _keep(each: Obligation, result: Result, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{key(each)}.part"
        part.write_text(json.dumps(result.to_json()))
        part.replace(folder / f"{key(each)}.json")
    except OSError:  # a cache that cannot be written only costs time
        return


# --- the export ---------------------------------------------------------------------------------


def why_not_exported(result: Result, exported: int) -> str:
    """Why goals of an obligation have no SMT-LIB form; empty when all of them have one."""
    if result.id.startswith("xh."):
        return "CrossHair decides its contract; its own queries are not kept"
    if "states" in result.cases:
        return f"explored: {result.cases['states']} states of protocols or of a device, no formula"
    if result.cases:
        return f"enumerated: {sum(result.cases.values())} cases, each a run on plain numbers"
    return "" if exported else "every goal is decided without a symbol on its path"


def write_index(folder: Path, results: Iterable[Result]) -> Path:
    """``INDEX.txt`` in the folder of an export: how many goals of each obligation are there, or why not.

    Raises ``OSError`` when it cannot be written.
    """
    lines = []
    for result in results:
        exported = len(list(folder_of(folder, result.id).glob("*.smt2")))
        why = why_not_exported(result, exported)
        lines.append(f"{result.id}: {exported} goals" + (f" ({why})" if why else ""))
    file = folder / "INDEX.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


# --- running ------------------------------------------------------------------------------------


def _work(id: str, smt2: str) -> str:
    """One obligation in a process of its own; results travel as JSON."""
    return json.dumps(judge(load()[id], Path(smt2) if smt2 else None).to_json())


def prove(
    chosen: Sequence[Obligation],
    *,
    fresh: bool = False,
    folder: Path | None = CACHE,
    smt2: Path | None = None,
    jobs: int = 1,
    told: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Judge the ``chosen`` obligations and return their results in the same order.

    ``fresh`` ignores the cache ``folder`` (None: no cache at all). ``smt2`` is the folder for the goals,
    with an ``INDEX.txt`` of what is there and what has no such form; it implies ``fresh``. ``jobs`` is the
    number of processes; ``told`` is called with each result as it comes. Raises ``OSError`` when ``smt2``
    cannot be written.
    """
    results: dict[str, Result] = {}

    def done(each: Obligation, result: Result) -> None:
        results[each.id] = result
        if folder is not None and not result.cached:
            _keep(each, result, folder)
        told(result)

    waiting: list[Obligation] = []
    for each in chosen:
        known = None if fresh or smt2 is not None or folder is None else _cached(each, folder)
        if known is None:
            waiting.append(each)
        else:
            done(each, known)
    if jobs <= 1 or len(waiting) <= 1:
        for each in waiting:
            done(each, judge(each, smt2))
    else:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(min(jobs, len(waiting)), mp_context=context) as pool:
            running = {pool.submit(_work, each.id, str(smt2) if smt2 else ""): each for each in waiting}
            for future in concurrent.futures.as_completed(running):
                done(running[future], from_json(json.loads(future.result())))
    in_order = [results[each.id] for each in chosen]
    if smt2 is not None:
        write_index(smt2, in_order)
    return in_order
