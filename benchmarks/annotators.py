"""How well automatic annotators agree with people, on the development data beside the project.

Run from the project's root: ``python benchmarks/annotators.py``. The data (``../shared/data``) is not part
of the project; without it the script says so and ends. Reading of XSTest: full refusal = refusal or harmful
refusal, partial refusal = partial answer, compliance = the rest; "refused" there counts partial as refused.
On the pilot "refused" = refusal or harmful refusal. An abstention counts as an error.

The default annotator's words and examples were revised after looks at this data (docs/annotator-log.md), so
its figures here flatter it. The figures given beside it for GPT-4 and for two people are published ones.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from annotator_alternatives import (
    HAS_SCIKIT_LEARN,
    Item,
    by_beginning,
    by_phrases,
    by_words,
    by_words_across_prompts,
)

from servicegap.annotators import OfflineAnnotator, SignalMask
from servicegap.records import CATEGORIES, OUTCOMES

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
PILOT = "llama2_7b_chat_annotated.csv"
XSTEST = ("xstest_llama2orig.csv", "xstest_mistralinstruct.csv")
BINS = 10
BATCH = 100  # responses

# Issue 5's table: published figures and the goal.
KNOWN = (
    ("GPT-4 judge, published", "0.826", "0.628", "-", "-"),
    ("two people, published", "0.98", "0.937", "0.97", "0.92"),
    ("goal", "0.94", "0.82", "0.96", "0.75"),
)

Rule = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Labels:
    """One annotator's labels, in the order of the items: XSTest by file, and the pilot."""

    name: str
    xstest: dict[str, list[str]]
    pilot: list[str]


def main() -> None:
    missing = [name for name in (PILOT, *XSTEST) if not (DATA / name).is_file()]
    if missing:
        sys.exit(f"{', '.join(missing)}: not found in {DATA}; this benchmark needs the development data.")
    pilot, xstest = read_pilot(), {name: read_xstest(name) for name in XSTEST}
    offline = OfflineAnnotator()
    every = [
        with_rule(
            f"offline {offline.version}",
            lambda prompt, response: offline.annotate(prompt, response).category or "abstained",
            pilot,
            xstest,
        ),
        with_rule("rule: how it begins", by_beginning, pilot, xstest),
        with_rule("rule: phrases anywhere", by_phrases, pilot, xstest),
    ]
    if HAS_SCIKIT_LEARN:
        every.append(with_words(pilot, xstest))
    print_table(every, pilot, xstest)
    if not HAS_SCIKIT_LEARN:
        print("TF-IDF + logistic regression not run: scikit-learn is not installed.")
    for labels in every:
        print_details(labels, pilot, xstest)
    print_calibration(offline, pilot, xstest)
    print_speed([*pilot, *(item for items in xstest.values() for item in items)])


def with_rule(name: str, rule: Rule, pilot: Sequence[Item], xstest: dict[str, list[Item]]) -> Labels:
    def apply(items: Sequence[Item]) -> list[str]:
        return [rule(item.prompt, item.response) for item in items]

    return Labels(name, {file: to_xstest(apply(items)) for file, items in xstest.items()}, apply(pilot))


def with_words(pilot: Sequence[Item], xstest: dict[str, list[Item]]) -> Labels:
    first, second = XSTEST
    crossed = {
        first: by_words(xstest[second], xstest[first]),
        second: by_words(xstest[first], xstest[second]),
    }
    return Labels("TF-IDF, other file/prompts", crossed, by_words_across_prompts(pilot))


def print_table(every: Sequence[Labels], pilot: Sequence[Item], xstest: dict[str, list[Item]]) -> None:
    heads = ("XSTest refused acc.", "XSTest 3-class kappa", "pilot refused kappa", "pilot 6-class kappa")
    print(f"{'':28}" + "".join(f"{head:>22}" for head in heads))
    for labels in every:
        people = [item.label for items in xstest.values() for item in items]
        machine = [label for file in xstest for label in labels.xstest[file]]
        pilot_people = [item.label for item in pilot]
        figures = (
            accuracy(people, machine),
            kappa(people, machine),
            kappa(refused(pilot_people), refused(labels.pilot)),
            kappa(pilot_people, labels.pilot),
        )
        print(f"{labels.name:28}" + "".join(f"{figure:22.3f}" for figure in figures))
    for name, *published in KNOWN:
        print(f"{name:28}" + "".join(f"{figure:>22}" for figure in published))


def print_details(labels: Labels, pilot: Sequence[Item], xstest: dict[str, list[Item]]) -> None:
    print(f"\n== {labels.name}")
    for file, items in xstest.items():
        people, machine = [item.label for item in items], labels.xstest[file]
        figures = (
            f"refused accuracy {accuracy(people, machine):.3f}   3-class kappa {kappa(people, machine):.3f}"
        )
        print(f"{file.removesuffix('.csv'):24} {figures}")
        print_confusion(people, machine)
    print("pilot")
    people = [item.label for item in pilot]
    print_confusion(people, labels.pilot)
    for group in sorted({item.group or "" for item in pilot}):
        chosen = [index for index, item in enumerate(pilot) if item.group == group]
        print_group(group, [people[i] for i in chosen], [labels.pilot[i] for i in chosen])


def print_group(group: str, people: Sequence[str], machine: Sequence[str]) -> None:
    truth, found = refused(people), refused(machine)
    n_refused, n_served = sum(truth), len(truth) - sum(truth)
    caught = sum(t and f for t, f in zip(truth, found, strict=True))
    passed = sum(not t and not f for t, f in zip(truth, found, strict=True))
    right = sum(p == m for p, m in zip(people, machine, strict=True))
    print(
        f"        {group:9} refused: sensitivity {caught / n_refused:.3f} of {n_refused:3}, "
        f"specificity {passed / n_served:.3f} of {n_served:3}; six categories right {right / len(people):.3f}"
    )


def print_confusion(people: Sequence[str], machine: Sequence[str]) -> None:
    counts = Counter(zip(people, machine, strict=True))
    labels = sorted({*people, *machine})
    print(f"        {'people / machine':16}" + "".join(f"{label[:15]:>16}" for label in labels))
    for row in sorted(set(people)):
        print(f"        {row:16}" + "".join(f"{counts[row, column]:16}" for column in labels))


def accuracy(people: Sequence[str], machine: Sequence[str]) -> float:
    """Return the share of XSTest responses on which both say that it was or was not refused."""
    same = ((p == "compliance") == (m == "compliance") for p, m in zip(people, machine, strict=True))
    return sum(same) / len(people)


def refused(labels: Sequence[str]) -> list[bool]:
    return [label in OUTCOMES["refused"] for label in labels]


def to_xstest(categories: Sequence[str]) -> list[str]:
    return [
        "full refusal"
        if category in OUTCOMES["refused"]
        else {"partial_answer": "partial refusal", "abstained": "abstained"}.get(category, "compliance")
        for category in categories
    ]


def kappa(first: Sequence[object], second: Sequence[object]) -> float:
    """Cohen's kappa; NaN where both use one and the same label only."""
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    left, right = Counter(first), Counter(second)
    expected = sum(left[label] * right[label] for label in left) / n**2
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def print_calibration(
    offline: OfflineAnnotator, pilot: Sequence[Item], xstest: dict[str, list[Item]]
) -> None:
    print("\n== calibration of the default annotator")
    print_reliability("pilot", offline, pilot, {category: (category,) for category in CATEGORIES})
    classes = {
        "full refusal": ("refusal", "harmful_refusal"),
        "partial refusal": ("partial_answer",),
        "compliance": ("answer", "failure", "harmful_answer"),
    }
    print_reliability("XSTest", offline, [item for items in xstest.values() for item in items], classes)


def print_reliability(
    name: str, offline: OfflineAnnotator, items: Sequence[Item], classes: dict[str, tuple[str, ...]]
) -> None:
    """Print mean confidence, share right, log loss and expected calibration error over ten equal bins."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    losses = []
    for item in items:
        given = offline.annotate(item.prompt, item.response).probabilities
        if given is None:
            continue
        by_category: dict[str, float] = dict(zip(CATEGORIES, given, strict=True))
        shares = {
            label: sum(by_category[category] for category in categories)
            for label, categories in classes.items()
        }
        best = max(shares, key=shares.__getitem__)
        bins[min(BINS - 1, int(shares[best] * BINS))].append((shares[best], best == item.label))
        losses.append(-math.log(shares[item.label]))
    n = len(losses)
    sure = sum(share for found in bins for share, _ in found) / n
    right = sum(hit for found in bins for _, hit in found) / n
    error = sum(abs(sum(share - hit for share, hit in found)) for found in bins) / n
    print(
        f"{name:8} mean confidence {sure:.3f}, right {right:.3f}, expected calibration error {error:.3f}, "
        f"log loss {sum(losses) / n:.3f}, abstains {len(items) - n}"
    )


def print_speed(items: Sequence[Item]) -> None:
    started = time.process_time()
    label(items)
    on_one = len(items) / (time.process_time() - started)
    # Dealt to whichever process is free, as `servicegap label` does with larger batches: of two halves one
    # has more doubtful responses.
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    with ProcessPoolExecutor(max_workers=2) as pool:
        list(pool.map(label, batches))  # the processes start and read the weights
        started = time.perf_counter()
        list(pool.map(label, batches))
        on_two = len(items) / (time.perf_counter() - started)
    length = sum(len(item.response) for item in items) / len(items)
    print(f"\nspeed    {on_one:,.0f} responses per CPU second, {on_two:,.0f} a second in two processes")
    print(f"         ({len(items)} responses, mean {length:.0f} characters)")


def label(items: Sequence[Item]) -> int:
    offline = OfflineAnnotator()
    return sum(offline.annotate(item.prompt, item.response).category is not None for item in items)


def read_pilot() -> list[Item]:
    groups = json.loads((DATA / "names.json").read_text(encoding="utf-8"))
    mask = SignalMask(name for names in groups.values() for name in names)
    items = []
    with (DATA / PILOT).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            prompt = row["prompt_sentence"]
            response = row[f"g{row['variable'].rsplit(' ', 1)[1]}"].removeprefix(prompt)
            label = row["label"].strip().replace(" ", "_")
            items.append(Item(mask.apply(prompt), mask.apply(response), label, row["identity"]))
    return items


def read_xstest(name: str) -> list[Item]:
    labels = {
        "1_full_compliance": "compliance",
        "2_full_refusal": "full refusal",
        "3_partial_refusal": "partial refusal",
    }
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return [
            Item(row["prompt"], row["completion"], labels[row["final_label"]]) for row in csv.DictReader(file)
        ]


if __name__ == "__main__":
    main()
