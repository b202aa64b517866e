"""Runs the program: `python -m lenet recognize photo.jpg`."""

import signal
import sys

from ._lenet import run_program


def main() -> int:
    """Runs the program with the arguments of the command line, and returns its exit status."""
    # Python's handler would only take effect after the program has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_program(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
