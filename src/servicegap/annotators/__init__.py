"""What labels responses without a person: the default offline annotator, and what every annotator needs."""

from __future__ import annotations

from pathlib import Path

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


def create_annotator(name: str, study: Path | None = None) -> Annotator:
    """Return an automatic annotator.

    Parameters
    ----------
    name : str
        One of ANNOTATORS, or ``fitted``: the one that was fitted on a study's own labels.
    study : Path, optional
        The folder of that study.

    Raises
    ------
    InputError
        If the name is unknown, or nothing was fitted.
    """
    if name == "fitted":
        # What reads its file is loaded where there is one.
        from servicegap.annotators.fitted import load_fitted  # noqa: PLC0415

        return load_fitted(study)
    if name not in ANNOTATORS:
        raise InputError(f"annotators: {name!r} is unknown; allowed: {', '.join(ANNOTATORS)}, fitted")
    return ANNOTATORS[name]()
