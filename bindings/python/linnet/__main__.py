"""The console command `linnet`, also as `python -m linnet`."""

import sys

from linnet._linnet import _run_command


def main() -> int:
    """Runs the program with the arguments of this process and returns its exit code."""
    return _run_command(["linnet", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
