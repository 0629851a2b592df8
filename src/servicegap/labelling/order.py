"""The order in which one person sees responses: shuffled, and variants of a template far apart.

Two variants in a row would show what differs between them: the name.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Sequence


def shuffled(items: Sequence[tuple[str, str]], seed: int) -> list[str]:
    """Return the responses in a random order in which those of one template keep the greatest distance.

    Parameters
    ----------
    items : sequence of (str, str)
        Response and template; each response once.
    seed : int
        The same seed and items (in any order) give the same result.

    Returns
    -------
    list of str
        The responses. Any two of one template are `distance` places apart or more, the most that is possible
        for all: (n - c) // (m - 1), m the responses of the most frequent templates, c how many templates
        have so many.

    Notes
    -----
    Always the template with most responses left among those not seen for `distance` places, ties by lot:
    the greedy schedule with a cooling time, which leaves no gap where any schedule leaves none.

    Examples
    --------
    >>> order = shuffled([("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"), ("a3", "a")], seed=7)
    >>> [response[0] for response in order]
    ['a', 'b', 'a', 'b', 'a']
    """
    lots = random.Random(seed)
    variants: dict[str, list[str]] = {}
    for response, template in sorted(items):
        variants.setdefault(template, []).append(response)
    for responses in variants.values():
        lots.shuffle(responses)
    distance = _distance(variants)
    ready = [(-len(responses), lots.random(), template) for template, responses in variants.items()]
    heapq.heapify(ready)
    cooling: deque[tuple[int, str]] = deque()
    order: list[str] = []
    while len(order) < len(items):
        while cooling and cooling[0][0] <= len(order):
            _, template = cooling.popleft()
            heapq.heappush(ready, (-len(variants[template]), lots.random(), template))
        _, _, template = heapq.heappop(ready)
        order.append(variants[template].pop())
        if variants[template]:
            cooling.append((len(order) - 1 + distance, template))
    return order


def _distance(variants: dict[str, list[str]]) -> int:
    """Return how far apart two responses of one template can be, at the least, in the best order."""
    sizes = Counter(len(responses) for responses in variants.values())
    most = max(sizes, default=0)
    total = sum(size * times for size, times in sizes.items())
    return max(1, (total - sizes[most]) // (most - 1)) if most > 1 else 1
