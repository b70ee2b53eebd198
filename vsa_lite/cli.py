"""The command `vsa-lite`. What it understands is in `cli_arguments`, what it does in `cli_commands`, ...

Nothing heavy is imported before a command runs, so that `vsa-lite --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from vsa_lite.cli_arguments import command_parser


def _one_line(error: BaseException) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or type(error).__name__


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"vsa-lite: note: {_one_line(message)}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 good, 1 an error that is explained in one line, 130 stopped by Ctrl-C.

    Args:
        arguments: those of the command line by default.

    Raises:
        SystemExit: for a command line that it does not understand (exit code 2), and after --help.
    """
    chosen = command_parser().parse_args(arguments)
    module, function = chosen.run.split(":")
    for stream in (sys.stdout, sys.stderr):  # a word that the terminal cannot show is no reason to stop
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return getattr(import_module(f"vsa_lite.{module}"), function)(chosen) or 0
        except KeyboardInterrupt:
            again = "the same command goes on from here" if chosen.resumes else "nothing was written"
            print(f"\nvsa-lite: stopped; {again}", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader of the output has gone: `vsa-lite ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except Exception as error:
            if chosen.debug:
                raise
            expected = isinstance(error, ValueError | OSError | KeyError | ImportError | RuntimeError | ArithmeticError)
            surprise = "" if expected else f" ({type(error).__name__}: a fault of this program; --debug shows where)"
            print(f"vsa-lite: error: {_one_line(error)}{surprise}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
