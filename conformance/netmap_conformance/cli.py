"""The command line: ``netmap-verify COMMAND …``.

Every command lives in its own module of ``netmap_conformance.commands`` and registers itself;
nothing heavy is imported before a command runs. Whatever goes wrong, the user sees one line on
stderr and one of the exit statuses of :mod:`netmap_conformance.errors`; a bug of ours is status
70, its traceback is kept in a file.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

import typer

from .commands import NAMES
from .errors import ABSENT, UNWRITABLE, USAGE, UserError
from .manifest import ManifestError
from .targets.base import TargetError
from .trace import TraceError

PROGRAM = "netmap-verify"
INTERNAL = 70
INTERRUPTED = 130


def build_app() -> typer.Typer:
    """The application with every command of :data:`commands.NAMES` registered, in that order."""
    app = typer.Typer(
        name=PROGRAM,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help="The executable model, the proofs and the conformance suite of netmap.",
        epilog="Exit status: 0 well, 1 something was found, 2 wrong input, 3 target or tool absent, "
        "4 output not writable, 125 cannot judge.",
    )

    @app.callback(invoke_without_command=True)
    def root(
        ctx: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if version:
            from importlib.metadata import version as installed

            typer.echo(f"{PROGRAM} {installed(PROGRAM)}")
            raise typer.Exit(0)
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())
            raise typer.Exit(0)

    for name in NAMES:
        importlib.import_module(f".commands.{name}", __package__).register(app)
    return app


def _say(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)


def _save_trace() -> str:
    """Keep the current traceback; the folder ``build`` of the working directory, else the temporary one."""
    text = traceback.format_exc()
    name = f"{PROGRAM}-trace-{os.getpid()}.txt"
    for folder in (Path("build"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        except OSError:
            continue
        return str(folder / name)
    return "nowhere: no folder is writable"


def _usage_line(error: Exception) -> str | None:
    """The line of a usage error of typer (click's own or the copy that newer versions carry)."""
    describe = getattr(error, "format_message", None)
    if describe is None:
        return None
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else PROGRAM
    return f"{str(describe()).rstrip('.')} (see {where} --help)"


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit status; never raises.

    ``argv`` is without the program's name; ``None`` takes it from ``sys.argv``.
    """
    try:
        status = build_app()(args=argv, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        if status == INTERRUPTED:  # typer has turned ^C into this status
            raise KeyboardInterrupt
    except UserError as error:
        _say(error.message)
        return error.status
    except TargetError as error:
        _say(str(error))
        return error.status
    except (ManifestError, TraceError) as error:
        _say(str(error))
        return USAGE
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            return _reader_gone()
        return stop.code if isinstance(stop.code, int) else (1 if stop.code else 0)
    except Exception as error:
        from netmap_native import DeviceMissing, NotBuilt

        if isinstance(error, (DeviceMissing, NotBuilt)):
            _say(str(error))
            return ABSENT
        if type(error).__name__ == "Abort":  # typer's word for ^C and ^D at a prompt
            _say("interrupted")
            return INTERRUPTED
        line = _usage_line(error)
        if line is not None:
            _say(line)
            return USAGE
        what = " ".join(str(error).split()) or "no message"
        _say(f"internal error: {type(error).__name__}: {what[:200]} (trace saved to {_save_trace()})")
        return INTERNAL
    return status if isinstance(status, int) else 0


def _reader_gone() -> int:
    """stdout was closed by its reader (``| head``); keep the interpreter from complaining at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNWRITABLE
