"""What labels responses without a person: the default offline annotator, and what every annotator needs."""

from __future__ import annotations

from servicegap.annotators.masking import SignalMask, mask_signals
from servicegap.annotators.offline import OfflineAnnotator
from servicegap.annotators.protocol import Annotator, Judgement
from servicegap.errors import InputError

__all__ = [
    "ANNOTATORS",
    "Annotator",
    "Judgement",
    "OfflineAnnotator",
    "SignalMask",
    "create_annotator",
    "mask_signals",
]

#: The automatic annotators by the name that study.yaml gives them.
ANNOTATORS = {OfflineAnnotator.name: OfflineAnnotator}


def create_annotator(name: str) -> Annotator:
    """Return an automatic annotator.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if name not in ANNOTATORS:
        raise InputError(f"annotators: {name!r} is unknown; allowed: {', '.join(ANNOTATORS)}")
    return ANNOTATORS[name]()
