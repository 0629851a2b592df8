"""Signals: what in a prompt tells the model who the person is.

`load_signals` reads the built-in names (``names.csv``) or a user's own list, `choose_signals` takes a
balanced part of a list, and `NEUTRAL` is the control without any signal. What speaks for each built-in
name, and how to add names: docs/signals.md.

Not here: putting signals into templates (design.py).
"""

from servicegap.signals.choice import choose_signals
from servicegap.signals.loader import NEUTRAL, load_signals

__all__ = ["NEUTRAL", "choose_signals", "load_signals"]
