"""The errors that servicegap raises on purpose.

::

    ServicegapError
    ├── InputError          a file, an option or an array that cannot be used as it is
    │   ├── StudyError      the study folder: its plan, its version, its lock
    │   └── DataError       labels, tables and arrays given to the statistics
    └── ModelError          a model that could not be asked, or did not answer
        └── WeightsError    a local model's file: absent, unreachable, or not the expected bytes

Every message names the value, the place (``file:line`` where there is one), what is allowed and
what to do next. The command line prints it as it is, and ends with ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Sequence


class ServicegapError(Exception):
    """Root of all errors that servicegap raises on purpose."""

    exit_code = 1


class InputError(ServicegapError):
    """Something the user gave cannot be used.

    Parameters
    ----------
    *problems : str
        One sentence for each mistake; all mistakes of an input are told together.
    """

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems: Sequence[str] = problems


class StudyError(InputError):
    """A study folder cannot be used: no plan in it, written by a newer version, or in use."""

    exit_code = 1


class DataError(InputError):
    """Labels, tables or arrays from which no estimate can be made."""


class ModelError(ServicegapError):
    """A model cannot be asked at all (a single failed call is a row, not an error)."""


class WeightsError(ModelError):
    """The file of a local model is absent, cannot be fetched, or has other bytes than expected."""
