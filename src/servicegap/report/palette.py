"""The colours and patterns of the plots, once for files and once for the page.

Files in report/plots hold fixed colours on white. In the page the same marks take CSS variables
(style.css), so that they follow light, dark and print.
"""

from __future__ import annotations

from dataclasses import dataclass

INK = "#1b1b1c"
MUTED = "#565a60"
GRID = "#dadce0"
PAPER = "#fffffe"
MARK = "#0b5394"
NAIVE = "#a04a00"

#: Fixed colour -> what the page uses in its place.
PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
    MARK: "var(--mark)",
    NAIVE: "var(--naive)",
}


@dataclass(frozen=True, slots=True)
class Fill:
    """How the bars of a category are filled: a colour, and lines that tell it apart without colour.

    ``lines`` is the path of an SVG pattern of 8 by 8 pixels.
    """

    colour: str
    variable: str
    lines: str


#: Lightest first, so that the order of the categories can be seen in grey too.
FILLS = {
    "answer": Fill("#e3eef8", "--answer", ""),
    "partial_answer": Fill("#b9d6ee", "--partial-answer", "M2 2h1.5v1.5h-1.5zM6 6h1.5v1.5h-1.5z"),
    "failure": Fill("#c9c9ca", "--failure", "M0 8L8 0M-1 1L1 -1M7 9L9 7"),
    "refusal": Fill("#f2b84b", "--refusal", "M0 4H8"),
    "harmful_refusal": Fill("#d9662b", "--harmful-refusal", "M0 0L8 8M0 8L8 0"),
    "harmful_answer": Fill("#a3307f", "--harmful-answer", "M2 0V8M6 0V8"),
}

#: Where variance comes from; what more names and templates average out first, chance last and plain.
COMPONENT_FILLS = {
    "name": Fill("#e8a33d", "--name", "M0 0L8 8M0 8L8 0"),
    "template": Fill("#8fbfa5", "--template", "M0 4H8"),
    "group x template": Fill("#6f9fd0", "--group-template", "M0 8L8 0M-1 1L1 -1M7 9L9 7"),
    "name x template": Fill("#cfc3e6", "--name-template", "M2 2h1.5v1.5h-1.5zM6 6h1.5v1.5h-1.5z"),
    "chance": Fill("#ececed", "--chance", ""),
}
