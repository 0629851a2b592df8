"""`servicegap audit` on a real model, end to end, in a process of its own.

It runs where CI=true or SERVICEGAP_TEST_LOCAL=1 is set (and fetches 98 MB on first use), or where the
smallest model is in the cache already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from servicegap.models.weights import known_weights

MODEL = "smollm2-135m"


@pytest.fixture
def wanted() -> None:
    """Skip where the model's file would have to be fetched without being asked for."""
    if os.environ.get("CI") == "true" or os.environ.get("SERVICEGAP_TEST_LOCAL") == "1":
        return
    if not known_weights(MODEL).cached:
        pytest.skip(f"{MODEL} is not in the cache; SERVICEGAP_TEST_LOCAL=1 fetches it (98 MB)")
    pytest.importorskip("xllamacpp")


@pytest.mark.usefixtures("wanted")
def test_an_audit_of_a_real_model_ends_in_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    command = [sys.executable, "-m", "servicegap", "audit", str(folder)]
    options = ["--model", f"local:{MODEL}", "--names-per-group", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"Report: {folder / 'report' / 'index.html'}" in done.stdout
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    [collected] = results["collection"]
    assert (collected["planned"], collected["answered"]) == (60, 60)
    [run] = results["provenance"]
    assert run["provenance"]["model"]["sha256"] == known_weights(MODEL).sha256
    # Every name was counted in tokens, as uneven ones are reported.
    assert len(run["provenance"]["model"]["signal_tokens"]) == 6
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "A very small model" in page
    assert "A demonstration" in page
