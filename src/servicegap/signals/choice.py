"""Take a part of a list of signals, balanced over gender and commonness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from servicegap.errors import InputError
from servicegap.records import Signal


def choose_signals(signals: Sequence[Signal], groups: Sequence[str], per_group: int) -> list[Signal]:
    """Choose the same number of signals for each group.

    Within a group they are balanced over gender and commonness as far as taking them one by one allows:
    each next one comes from the gender and commonness that have been taken least, and within these the
    list's order decides. The choice is deterministic, and a smaller one is part of a larger one.

    Parameters
    ----------
    signals : sequence of Signal
        Where to choose from.
    groups : sequence of str
        The groups to choose for, each once.
    per_group : int
        How many for each group, at least 1.

    Returns
    -------
    list of Signal
        ``len(groups) * per_group`` signals: group by group in the order of `groups`, within a group in
        the list's order.

    Raises
    ------
    InputError
        If a group is not in the list, is asked for twice or has too few signals: all mistakes, one a line.

    Examples
    --------
    >>> from servicegap.signals import load_signals
    >>> [signal.text for signal in choose_signals(load_signals(), ["White"], 4)]
    ['Charlotte', 'John', 'Phoebe', 'Flynn']
    """
    by_group: dict[str, list[Signal]] = {}
    for signal in signals:
        if signal.group is not None:
            by_group.setdefault(signal.group, []).append(signal)
    problems = _problems(by_group, groups, per_group)
    if problems:
        raise InputError(*problems)
    return [signal for group in groups for signal in _balanced(by_group[group], per_group)]


def _problems(by_group: dict[str, list[Signal]], groups: Sequence[str], per_group: int) -> list[str]:
    problems = []
    if per_group < 1:
        problems.append(f"{per_group} names per group were asked for; at least 1 is needed")
    for group, times in Counter(groups).items():
        known = by_group.get(group)
        if known is None:
            problems.append(f"unknown group '{group}'; the list has: {', '.join(by_group) or 'no groups'}")
        elif len(known) < per_group:
            names = "1 name" if len(known) == 1 else f"{len(known)} names"
            problems.append(
                f"group '{group}' has {names}, {per_group} per group were asked for; "
                f"ask for at most {len(known)}, or add names"
            )
        if times > 1:
            problems.append(f"group '{group}' is asked for {times} times; name it once")
    return problems


def _balanced(signals: Sequence[Signal], count: int) -> list[Signal]:
    left = dict(enumerate(signals))
    genders: Counter[str | None] = Counter()
    levels: Counter[str | None] = Counter()
    strata: Counter[tuple[str | None, str | None]] = Counter()

    def taken(position: int) -> tuple[int, int, int]:
        gender, commonness = left[position].gender, left[position].commonness
        return genders[gender] + levels[commonness], strata[gender, commonness], position

    chosen = []
    for _ in range(count):
        position = min(left, key=taken)
        signal = left.pop(position)
        genders[signal.gender] += 1
        levels[signal.commonness] += 1
        strata[signal.gender, signal.commonness] += 1
        chosen.append(position)
    return [signals[position] for position in sorted(chosen)]
