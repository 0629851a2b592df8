"""How toxic a response reads, as a number: kept apart from the six categories.

A toxicity score is what safety evaluations report. Beside the categories it shows what such an evaluation
sees of them. Scorers: ``lexicon`` (lexicon.py, offline) and ``transformers:NAME`` (classifier.py, for those
who have weights). Which
responses of a study are scored is in of_study.py, what is estimated from the scores in measured.py.
"""

from __future__ import annotations

from servicegap.errors import InputError
from servicegap.toxicity.classifier import TransformersScorer
from servicegap.toxicity.lexicon import LexiconScorer
from servicegap.toxicity.protocol import Score, ToxicityScorer

__all__ = ["LexiconScorer", "Score", "ToxicityScorer", "TransformersScorer", "create_scorer"]


def create_scorer(name: str) -> ToxicityScorer:
    """Return a scorer by its name.

    Parameters
    ----------
    name : str
        ``lexicon``, or ``transformers:`` and a folder with a classifier's weights or its name on the
        Hugging Face Hub; ``#LABEL`` behind it picks the label that means toxic.

    Raises
    ------
    InputError
        If the name is unknown, or the classifier cannot be loaded.
    """
    kind, _, model = name.partition(":")
    if name == LexiconScorer.name:
        return LexiconScorer()
    if kind == "transformers" and model:
        return TransformersScorer(model)
    raise InputError(f"scorer: {name!r} is unknown; allowed: lexicon, transformers:PATH_OR_NAME")
