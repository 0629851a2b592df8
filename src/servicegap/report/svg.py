"""From vl-convert's SVG to one that can stand in a page: named, coloured by the page, patterned."""

from __future__ import annotations

import re

from markupsafe import escape

from servicegap.report.palette import COMPONENT_FILLS, FILLS, INK, PAGE_COLOURS, PAPER
from servicegap.visible import visible_text

_ROOT = re.compile(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>")
_SIZE = re.compile(r"viewBox=\"0 0 ([\d.]+) ([\d.]+)\"")
# What Vega writes for its own readers; the title and the description say it better, once.
_ARIA = re.compile(r" (?:aria-[a-z]+|role)=\"[^\"]*\"")
_BACKGROUND = re.compile(r"<rect [^>]*fill=\"white\"/>", re.ASCII)
_FILLS = {**FILLS, **COMPONENT_FILLS}


def for_page(svg: str, name: str, title: str, description: str) -> str:
    """Return the SVG for the page.

    Parameters
    ----------
    svg : str
        As vl-convert made it.
    name : str
        Unique in the page; what has an identifier gets it as a prefix.
    title, description : str
        The text alternative.
    """
    svg = _BACKGROUND.sub("", _named(svg, name, title, description), count=1)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(f'="{colour}"', f'="{variable}"')
    return svg


def for_file(svg: str, name: str, title: str, description: str) -> str:
    """Return the SVG as a file of its own, on white."""
    return _named(svg, name, title, description, ' xmlns="http://www.w3.org/2000/svg"')


def _named(svg: str, name: str, title: str, description: str, space: str = "") -> str:
    """Give the drawing its text alternative, its patterns, and identifiers that are unique."""
    svg = _ARIA.sub("", svg)
    root = _ROOT.search(svg)
    if root is None:
        raise ValueError("vl-convert gave no SVG with a viewBox")
    width, height = _SIZE.search(root[1]).groups()  # type: ignore[union-attr]  # Vega always starts at 0 0
    opening = (
        f'<svg{space} role="img" aria-labelledby="{name}-title {name}-text" {root[1]} width="{width}" '
        f'height="{height}"><title id="{name}-title">{escape(visible_text(title))}</title>'
        f'<desc id="{name}-text">{escape(visible_text(description))}</desc>'
    )
    body = _patterned(svg[root.end() :], name, fixed=bool(space))
    body = re.sub(r'(id="|url\(#)(clip)', rf"\1{name}-\2", body)
    # Text that has an outline is read on top of patterns: the outline goes behind the letters.
    body = body.replace(f'stroke="{PAPER}"', f'stroke="{PAPER}" paint-order="stroke" stroke-linejoin="round"')
    return opening + body


def _patterned(body: str, name: str, *, fixed: bool) -> str:
    """Replace the colours of parts of bars by patterns of the same colour."""
    definitions = []
    for part, fill in _FILLS.items():
        if f'fill="{fill.colour}"' not in body:
            continue
        identifier = f"{name}-{part.replace(' ', '-')}"
        body = body.replace(f'fill="{fill.colour}"', f'fill="url(#{identifier})"')
        ground = fill.colour if fixed else f"var({fill.variable})"
        lines = INK if fixed else PAGE_COLOURS[INK]
        definitions.append(
            f'<pattern id="{identifier}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{ground}"/>'
            f'<path d="{fill.lines}" stroke="{lines}" stroke-width="1" stroke-opacity="0.55" fill="none"/>'
            "</pattern>"
        )
    return f"<defs>{''.join(definitions)}</defs>{body}" if definitions else body
