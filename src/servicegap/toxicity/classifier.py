"""Toxicity by a classifier of the transformers library, for those who have its weights.

A text longer than the classifier reads is cut into overlapping windows; the score is the highest of theirs.
transformers and torch are loaded when a scorer is made, never before (extra ``toxicity``).
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from servicegap.errors import InputError
from servicegap.toxicity.protocol import Score

#: Names that classifiers give to the label that means toxic.
TOXIC_LABELS = ("toxic", "toxicity", "hate", "hateful", "abusive", "offensive", "label_1")
LONGEST_WINDOW = 512  # tokens
OVERLAP = 64


class TransformersScorer:
    """A sequence classifier from a folder or the Hugging Face Hub.

    Parameters
    ----------
    model : str
        A folder, or a name on the Hub; ``#LABEL`` behind it picks the label that means toxic where its name
        is none of TOXIC_LABELS.

    Raises
    ------
    InputError
        If transformers or torch are not installed, the model cannot be loaded, or no label means toxic.
    """

    def __init__(self, model: str) -> None:
        path, _, label = model.partition("#")
        self.name = f"transformers:{model}"
        transformers, self._torch = _libraries()
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(path, use_fast=True)
            self._model = transformers.AutoModelForSequenceClassification.from_pretrained(path)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"scorer: {path!r} cannot be loaded: {_first_line(error)}; give a folder with a sequence "
                "classifier and its tokenizer, or the name of one on the Hugging Face Hub"
            ) from error
        self._model.eval()
        self._toxic = _toxic_label(self._model.config, label, path)
        self.version: str = _version(self._model.config, Path(path), transformers.__version__)

    def score(self, text: str) -> Score:
        """Score one response; an empty one has no value."""
        if not text.strip():
            return Score(None, "the response is empty")
        limit = min(LONGEST_WINDOW, int(self._tokenizer.model_max_length), self._positions())
        windows = self._tokenizer(
            text,
            truncation=True,
            max_length=limit,
            stride=min(OVERLAP, limit // 4),
            return_overflowing_tokens=True,
            padding=True,
            return_tensors="pt",
        )
        windows.pop("overflow_to_sample_mapping", None)
        with self._torch.inference_mode():
            logits = self._model(**windows).logits
        config = self._model.config
        if config.problem_type == "multi_label_classification" or config.num_labels == 1:
            probabilities = logits.sigmoid()
        else:
            probabilities = logits.softmax(dim=-1)
        return Score(round(float(probabilities[:, self._toxic].max()), 6))

    def _positions(self) -> int:
        # Some models use the first places for padding.
        positions = getattr(self._model.config, "max_position_embeddings", LONGEST_WINDOW + 2)
        return int(positions) - 2


def _libraries() -> tuple[Any, Any]:
    try:
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"scorer: {error.name} is not installed; install what classifiers need with: "
            "pip install 'servicegap[toxicity]', or use --scorer lexicon"
        ) from error
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    return transformers, torch


def _toxic_label(config: Any, wanted: str, path: str) -> int:
    """Return the index of the label that means toxic."""
    labels = {str(label).lower(): int(index) for index, label in config.id2label.items()}
    if not wanted and len(labels) == 1:
        return 0
    for name in [wanted.lower()] if wanted else TOXIC_LABELS:
        if name in labels:
            return labels[name]
    said = f"has no label {wanted!r}" if wanted else "names no label that is known to mean toxic"
    raise InputError(
        f"scorer: {path!r} {said}; its labels are: {', '.join(labels)}; pick one with "
        f"--scorer transformers:{path}#LABEL"
    )


def _version(config: Any, folder: Path, library: str) -> str:
    """Return what identifies the weights: the Hub's revision, or a hash of the folder's files."""
    if not folder.is_dir():
        return f"{getattr(config, '_commit_hash', None) or 'unknown revision'}, transformers {library}"
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".json", ".safetensors", ".bin", ".txt", ".model"):
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return f"{digest.hexdigest()[:16]}, transformers {library}"


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
