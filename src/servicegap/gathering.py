"""Many mistakes told together: each part is read as far as it goes, and none hides another's mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from servicegap.errors import InputError


@contextmanager
def gathered(problems: list[str], placed: Callable[[str], str] = str) -> Iterator[None]:
    """Add the mistakes that an InputError tells within to `problems`, and go on after it.

    Parameters
    ----------
    problems : list of str
        Grows by one sentence for each mistake.
    placed : callable, optional
        Adds to a sentence where the mistake stands.

    Examples
    --------
    >>> found = []
    >>> with gathered(found, "study.yaml:3: {}".format):
    ...     raise InputError("no such model")
    >>> found
    ['study.yaml:3: no such model']
    """
    try:
        yield
    except InputError as error:
        problems += map(placed, error.problems)
