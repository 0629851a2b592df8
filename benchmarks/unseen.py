"""How well the default annotator tells examples that it has never seen.

Run from the project's root: ``python benchmarks/unseen.py``. ``unseen_examples`` has responses in the
project's own words, in the form of scripts/own_examples.py, whose prompts and responses no fit reads and
after which no rule was written. ``sets_*``: mostly five or six responses to one prompt that share words and
shape and differ in what the person gets; ``sets_plain_*`` in the plain prose of chat models, the others in
many voices. ``said_*``: responses as chat models of four kinds give them, one or two to a prompt, like the
files in scripts/network_examples that are fitted; ``other_*``: the same of two kinds of models that no fitted
file has. Figures are of three classes (answer or failure, partial answer, refusal), refused or not, and six
categories.
"""

from __future__ import annotations

import sys
from pathlib import Path

from annotators import accuracy, kappa, to_xstest

from servicegap.annotators import OfflineAnnotator

HERE = Path(__file__).parent
KINDS = ("said_", "other_", "sets_plain_", "sets_")


def main() -> None:
    sys.path.insert(0, str(HERE.parent / "scripts"))
    from own_examples import read_examples  # noqa: PLC0415

    offline = OfflineAnnotator()
    rows: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for example in read_examples(HERE / "unseen_examples"):
        kind = next(kind for kind in KINDS if example.file.startswith(kind))
        found = offline.annotate(example.prompt, example.response).category or "abstained"
        rows[kind].append((example.category, found))
    print(f"default annotator, version {offline.version}")
    heads = ("examples", "kappa of 3", "refused", "six right")
    print("".ljust(14) + "".join(head.rjust(12) for head in heads))
    for kind, pairs in rows.items():
        truth, told = zip(*pairs, strict=True)
        three, three_told = to_xstest(truth), to_xstest(told)
        six_right = sum(one == other for one, other in pairs) / len(pairs)
        figures = (kappa(three, three_told), accuracy(three, three_told), six_right)
        print(kind.ljust(14) + f"{len(pairs):12,}" + "".join(f"{figure:12.3f}" for figure in figures))
        for label in sorted(set(three)):
            counts = [
                f"{other} {sum(pair == (label, other) for pair in zip(three, three_told, strict=True))}"
                for other in sorted(set(three_told))
            ]
            print(f"    {label}, told as: {', '.join(counts)}")


if __name__ == "__main__":
    main()
