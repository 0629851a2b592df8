"""How far automatic annotators and judges can be trusted: each against people, by category and by group.

`checks` is what results.json, the report and ``servicegap annotator check`` show.
"""

from __future__ import annotations

from servicegap.annotator_check.checks import checks
from servicegap.annotator_check.words import check_text

__all__ = ["check_text", "checks"]
