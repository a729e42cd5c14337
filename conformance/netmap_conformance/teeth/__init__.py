"""Teeth: planted defects, and which scenario notices them.

A suite is worth what it kills. Every mutant is a change of a few words in a *copy* of a target (the
model or the C device), never a switch in the code that is used. It names the clause it breaks; it is
killed by a scenario whose findings name a clause, and by nothing else: a run that could not be
judged kills nothing. The lists are ``mutants/reference.toml`` and ``mutants/native.toml``.
"""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
from netmap_spec import clauses

HERE = Path(__file__).parent
LISTS = HERE / "mutants"


class TeethError(ValueError):
    """A list of mutants is wrong, or one does not apply any more; one line naming file and mutant."""


class Mutant(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One defect.

    In ``file`` (below ``netmap_reference`` or ``native``) the text ``old``, which occurs once, becomes
    ``new``. ``clause`` is what that breaks, ``reason`` what it does, in words. ``defect`` names the real
    defect of netmap it is made after. ``equivalent`` says why nobody could notice it, if nobody could.
    """

    id: str
    clause: str
    file: str
    old: str
    new: str
    reason: str
    defect: str = ""
    equivalent: str = ""
    target: str = ""


class _List(msgspec.Struct, forbid_unknown_fields=True):
    mutant: list[Mutant]


def root(target: str) -> Path:
    """The folder that is copied for a target: the package of the model, or the C side."""
    if target == "reference":
        import netmap_reference

        return Path(netmap_reference.__file__).parent
    import netmap_native

    return Path(netmap_native.__file__).parents[1]


def load(only: str = "*", target: str = "") -> list[Mutant]:
    """Every mutant whose id matches the glob, in the order of the lists. Raises :class:`TeethError`."""
    found: list[Mutant] = []
    known = clauses.load()
    for path in sorted(LISTS.glob("*.toml"), reverse=True):
        try:
            parsed = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _List)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise TeethError(f"{path.name}: {error}") from None
        for mutant in parsed.mutant:
            mutant.target = path.stem
            if mutant.clause not in known:
                raise TeethError(f"{path.name}: {mutant.id}: there is no clause '{mutant.clause}'")
            if any(m.id == mutant.id for m in found):
                raise TeethError(f"{path.name}: {mutant.id} is listed twice")
            patched(mutant)
            found.append(mutant)
    return [m for m in found if fnmatchcase(m.id, only) and target in ("", m.target)]


def patched(mutant: Mutant) -> str:
    """The mutant's file with the defect in it. Raises :class:`TeethError` when it does not apply."""
    path = root(mutant.target) / mutant.file
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise TeethError(f"{mutant.target}.toml: {mutant.id}: there is no file {mutant.file}") from None
    count = text.count(mutant.old)
    if count != 1:
        raise TeethError(f"{mutant.target}.toml: {mutant.id}: its text occurs {count} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)
