"""Runs the program: `python -m lenet recognize photo.jpg`."""

import sys

from ._lenet import run_program


def main() -> int:
    """Runs the program with the arguments of the command line, and returns its exit status."""
    return run_program(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
