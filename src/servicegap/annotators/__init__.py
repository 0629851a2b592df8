"""What labels responses without a person: the default offline annotator, and what every annotator needs."""

from __future__ import annotations

from servicegap.annotators.masking import SignalMask, mask_signals
from servicegap.annotators.offline import OfflineAnnotator
from servicegap.annotators.protocol import Annotator, Judgement

__all__ = ["Annotator", "Judgement", "OfflineAnnotator", "SignalMask", "mask_signals"]
