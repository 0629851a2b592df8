"""The command ``servicegap``, as a process of its own; also ``python -m servicegap``."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from typing import NoReturn

#: As in cli/framework.py, whose import may be what is stopped.
_STOPPED = 130


def run() -> None:
    """Run the command line, and leave."""
    try:
        signal.signal(signal.SIGTERM, _stop)
        _start_lightly()
        # Imported here, so that a stop while it is (up to half a second) is told in one line as well.
        from servicegap.cli import main  # noqa: PLC0415

        main()
    except SystemExit as ended:
        _leave(ended.code)
    except KeyboardInterrupt:
        print("servicegap: stopped", file=sys.stderr)
        _leave(_STOPPED)


def _start_lightly() -> None:
    """Leave out what costs a tenth of a start and of a collection, and brings these commands nothing."""
    # Python looks for garbage after every 700 new objects; most that is made here is kept, or free at once.
    gc.set_threshold(200_000, 20, 100)
    # pydantic looks in every installed package for plugins; none may change what a study says.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _leave(code: str | int | None) -> None:
    """End the process at once: taking every object apart first is a tenth of a collection's time.

    What must be tidied up is tidied up; threads that still work, and whatever goes wrong, end Python's way.
    """
    if not isinstance(code, int) or threading.active_count() > 1:
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any longer
        sys.exit(code)
    atexit._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    run()
