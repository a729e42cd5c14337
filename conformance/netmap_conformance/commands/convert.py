"""``netmap-verify convert``: a recording in whatever format it has, as a trace of this project.

Exit status: 0 when it was written; 2 for a file that cannot be read or is malformed; 4 when the output
cannot be written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import UNWRITABLE, UserError

if TYPE_CHECKING:
    from ..trace import Trace


def register(app: typer.Typer) -> None:
    @app.command()
    def convert(
        file: Path = typer.Argument(..., help="A recording (JSON Lines, gzip or not)."),  # noqa: B008
        output: str = typer.Option(
            "-", "--output", "-o", metavar="OUT", help="Where to write; .gz is compressed, - is stdout."
        ),
        scenario: bool = typer.Option(False, "--scenario", help="Only what was done, without what was seen."),
    ) -> None:
        """Write a recording as a trace of this project."""
        from ..trace import dump, write

        trace = read(file)
        if scenario:
            trace = trace.scenario()
        if output == "-":
            typer.echo(dump(trace), nl=False)
            return
        path = Path(output)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(trace, path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {(error.strerror or '').lower()}", UNWRITABLE) from None


def read(file: Path) -> Trace:
    """The trace in a file, whatever its format. Raises :class:`UserError` with status 2."""
    from ..recordings import convert as read_recording
    from ..trace import TraceError

    try:
        return read_recording(file)
    except TraceError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
