"""The responses on which judges disagree, as what people are asked about next.

Not here: the judges and their panel (servicegap.annotators).
"""

from __future__ import annotations

from servicegap.annotators.panel import disagreements
from servicegap.codebook import codebook_of
from servicegap.labelling.population import read_population
from servicegap.labelling.rounds import settled_responses
from servicegap.store import Store
from servicegap.study import Study


def unsettled_disagreements(study: Study, store: Store) -> list[str]:
    """Return what judges disagree on and people have not settled under the codebook, most disputed first."""
    disputed = disagreements(store)
    if not disputed:
        return []
    askable = set(read_population(study, store)["response"])
    with store.reading() as connection:
        settled = settled_responses(connection, codebook_of(study).hash)
    return [response for response in disputed if response in askable and response not in settled]
