"""What commands write to stderr while they work.

How far they are is for a person at a terminal: nothing of it where stderr is a file. What somebody must know
who reads the log of a command that ran alone (what it is going to cost, what was left undone) is told always.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servicegap.arrivals import Progress, Watch


@contextlib.contextmanager
def watching_collection() -> Iterator[Watch | None]:
    """Show how far a collection is: calls done, rate, failures, time left."""
    if not sys.stderr.isatty():
        yield None
        return
    # Imported here, as it costs a tenth of a second that a pipe need not pay.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f}/s, {task.fields[failed]} failed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def watch(progress: Progress) -> None:
            if progress.model not in tasks:
                tasks[progress.model] = bar.add_task(progress.model, total=progress.total, rate=0.0, failed=0)
            bar.update(
                tasks[progress.model], completed=progress.done, failed=progress.failed, rate=progress.rate
            )

        yield watch


@contextlib.contextmanager
def watching_rows() -> Iterator[Callable[[int, int], None] | None]:
    """Show how far a table is: rows done of all rows, time left."""
    if not sys.stderr.isatty():
        yield None
        return
    # Imported here for the same reason.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(*Bar.get_default_columns(), console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, rows: bar.update(task, completed=done, total=rows)


def say(message: str) -> None:
    """Tell a person at a terminal what happens now."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def tell(message: str) -> None:
    """Tell what must be known, wherever stderr goes."""
    print(f"servicegap: {message}", file=sys.stderr, flush=True)
