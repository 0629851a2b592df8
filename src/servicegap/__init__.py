"""servicegap measures whom a language model serves worse, and how sure one can be of it.

The public names are those of ``__all__``; they are loaded when first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servicegap.disparity import contrasts, gaps, rates
    from servicegap.errors import DataError, InputError, ModelError, ServicegapError, StudyError
    from servicegap.models import create_model
    from servicegap.models.fake import FakeModel
    from servicegap.power import detectable_gap, power_of
    from servicegap.records import CATEGORIES, OUTCOMES, Estimate, Signal, Template
    from servicegap.signals import load_signals
    from servicegap.templates import load_templates

__version__ = "0.1.0"

_HOMES = {
    "CATEGORIES": "records",
    "OUTCOMES": "records",
    "DataError": "errors",
    "Estimate": "records",
    "FakeModel": "models.fake",
    "InputError": "errors",
    "ModelError": "errors",
    "ServicegapError": "errors",
    "Signal": "records",
    "StudyError": "errors",
    "Template": "records",
    "contrasts": "disparity",
    "create_model": "models",
    "detectable_gap": "power",
    "gaps": "disparity",
    "load_signals": "signals",
    "load_templates": "templates",
    "power_of": "power",
    "rates": "disparity",
}

__all__ = [
    "CATEGORIES",
    "OUTCOMES",
    "DataError",
    "Estimate",
    "FakeModel",
    "InputError",
    "ModelError",
    "ServicegapError",
    "Signal",
    "StudyError",
    "Template",
    "contrasts",
    "create_model",
    "detectable_gap",
    "gaps",
    "load_signals",
    "load_templates",
    "power_of",
    "rates",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'servicegap' has no attribute {name!r}")
    return getattr(import_module(f"servicegap.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
