"""A small network that reads prompt and response as one text, where facts and words alone are not sure.

Six layers of a transformer (Vaswani et al. 2017; in the form of BERT, Devlin et al. 2019) that run in ONNX
Runtime with whole-number weights. They began as those of a public model of sentences (all-MiniLM-L6-v2,
Apache 2.0). The last four, which read two pieces as one, were fitted to the project's own examples by
scripts/fit_network.py; in all six, what other parts can stand for was then left out. Not here: how texts are
cut into pieces (pieces.py), when the network is asked and what its word counts (offline.py).
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from servicegap.annotators import pieces
from servicegap.annotators.logistic import Floats, normalised

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WEIGHTS: Final = Path(__file__).with_name("network.onnx.gz")
_ONLY_ERRORS: Final = 3


def log_probabilities(prompt: str, response: str) -> Floats:
    """Return the natural logarithms of the probabilities of the six categories, in the codebook's order.

    Parameters
    ----------
    prompt, response : str
        In lower case, signals masked. Of long texts a part is read (pieces.py).

    Returns
    -------
    array of float, shape (6,)
        The same on every call: each response is read alone, on one core.
    """
    numbers, n_prompt = pieces.read_list().read_pair(prompt, response)
    sides = np.zeros((1, len(numbers)), dtype=np.int64)
    sides[:, n_prompt:] = 1
    (found,) = _session().run(None, {"numbers": np.array([numbers]), "sides": sides})
    return normalised(found[0].astype(np.float64))


@lru_cache(maxsize=1)
def _session() -> InferenceSession:
    # Imported here, since many a command labels nothing, and many a table has nothing doubtful.
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415

    options = SessionOptions()
    options.intra_op_num_threads = 1  # processes share the cores
    options.log_severity_level = _ONLY_ERRORS
    content = gzip.decompress(WEIGHTS.read_bytes())
    return InferenceSession(content, options, providers=["CPUExecutionProvider"])
