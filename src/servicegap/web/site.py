"""What every page needs at hand: the study, its database, its codebook, and who may come in how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from servicegap.codebook import Codebook, codebook_of
from servicegap.store import Store
from servicegap.study import Study
from servicegap.web.following import LiveAgreement
from servicegap.web.guards import Attempts
from servicegap.web.stopping import LiveLooks


@dataclass(slots=True)
class Site:
    """A study that is served.

    Attributes
    ----------
    study, store : Study, Store
        The plan as it was when the server started, and the open database.
    tokens : bool
        Whether people come in by their secret links; else there is one person, ``local``.
    attempts : Attempts
        At coming in with links that are nobody's.
    agreement : LiveAgreement
        How well people agree, as the labels are now.
    looks : LiveLooks
        Whether labelling may stop, as of the last batch that was settled.
    """

    study: Study
    store: Store
    tokens: bool
    attempts: Attempts = field(default_factory=Attempts)
    agreement: LiveAgreement = field(default_factory=LiveAgreement)
    looks: LiveLooks = field(default_factory=LiveLooks)

    @property
    def codebook(self) -> Codebook:
        """The study's codebook as its file is now."""
        return codebook_of(self.study)


def site_of(request: Request) -> Site:
    """Return the study that a request is about."""
    return cast(Site, request.app.state.site)
