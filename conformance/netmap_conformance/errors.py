"""Errors that end a command with one line and an exit status, and where most of them come from.

Exit statuses of every command:

====  ==============================================================================
0     all well
1     something was found: a violation, a stall, a refuted obligation, a difference
2     the user's input is wrong: usage, a malformed file, an unknown clause or target
3     the target or a needed tool is not there: no node, no compiler, a missing extra
4     the output cannot be written
125   cannot judge (``git bisect run`` skips such a commit)
====  ==============================================================================
"""

from __future__ import annotations

from pathlib import Path

FOUND = 1
USAGE = 2
ABSENT = 3
UNWRITABLE = 4
CANNOT_JUDGE = 125


class UserError(Exception):
    """A command cannot go on. ``message`` is one line for the user, ``status`` the exit status."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def write_file(path: Path, text: str) -> Path:
    """Store ``text``, making the folders above. Raises :class:`UserError` with status 4."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {_why(error)}", UNWRITABLE) from None
    return path


def read_file(path: Path) -> str:
    """The text of a file the user named. Raises :class:`UserError` with status 2."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {_why(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"cannot read {path}: not a text file") from None


def extra_missing(command: str, extra: str, error: ImportError) -> UserError:
    """The error of a command whose optional packages are not installed."""
    hint = f"pip install 'netmap-verify[{extra}]'"
    return UserError(f"{command} needs the Python package {error.name}: {hint}", ABSENT)
