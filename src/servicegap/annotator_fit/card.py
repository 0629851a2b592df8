"""The card of a fitted annotator: what it learned from and how good it is, as data and in words."""

from __future__ import annotations

from dataclasses import dataclass

from servicegap.annotator_check.measured import Measured
from servicegap.annotator_fit.comparison import LEVEL, Comparison


@dataclass(frozen=True, slots=True)
class Card:
    """What is to be known of a fitted annotator.

    Attributes
    ----------
    name, version, created, servicegap : str
        ``version`` is a hash of what it learned from and how; `servicegap` the version that fitted it.
    default, default_version : str
        The annotator it starts from.
    scikit_learn : str
    data_hash : str
        Of the responses, their texts and people's labels that it learned from.
    labels : str
        ``gold`` or ``imported``.
    n_labels, n_templates, n_left_out, n_folds : int
        Labels learned from and their templates; labels of responses that the default cannot read.
    by_category, by_source : dict of str to int
        Labels of each category, and by how they came about.
    shares, temperatures : tuple of float
        Of each fold's model: how far it leaves the default (0 to 1), and how its probabilities are softened.
    comparison : tuple of Comparison
        On templates that the judging model did not see: all, then each group.
    """

    name: str
    version: str
    created: str
    servicegap: str
    default: str
    default_version: str
    scikit_learn: str
    data_hash: str
    labels: str
    n_labels: int
    n_templates: int
    n_left_out: int
    n_folds: int
    by_category: dict[str, int]
    by_source: dict[str, int]
    shares: tuple[float, ...]
    temperatures: tuple[float, ...]
    comparison: tuple[Comparison, ...]

    @property
    def better(self) -> bool:
        """Whether both intervals of the differences say that it is better than the default."""
        whole = self.comparison[0]
        loss, kappa = whole.log_loss_difference.high, whole.kappa_difference.low
        return loss is not None and loss < 0 and kappa is not None and kappa > 0

    def sentence(self) -> str:
        """Say in one sentence whether fitting helped."""
        whole = self.comparison[0]
        loss, kappa = whole.log_loss_difference, whole.kappa_difference
        figures = (
            f"on templates it did not see, log loss {_text(whole.log_loss)} (default "
            f"{_text(whole.default_log_loss)}; difference {_text(loss, signed=True)}), kappa "
            f"{_text(whole.kappa)} (default {_text(whole.default_kappa)}; difference "
            f"{_text(kappa, signed=True)})"
        )
        if self.better:
            return f"Better than the default annotator: {figures}."
        if (loss.low is not None and loss.low > 0) or (kappa.high is not None and kappa.high < 0):
            return f"Worse than the default annotator, so use the default: {figures}."
        return f"Not shown to be better than the default annotator in both: {figures}."

    def markdown(self) -> str:
        """Return the card as a page."""
        lines = [
            f"# Annotator {self.name}, version {self.version}",
            "",
            f"Fitted {self.created} by servicegap {self.servicegap} (scikit-learn {self.scikit_learn}) on "
            f"{self.n_labels} labels of {self.n_templates} templates ({self.labels} labels; data hash "
            f"{self.data_hash}). It starts from the annotator {self.default}, version "
            f"{self.default_version}, and reads responses with signals masked. There is a model for each of "
            f"{self.n_folds} folds of the templates, which learned from the labels of the other folds: a "
            "response is judged by the model that saw no label of its template.",
            "",
            self.sentence(),
            "",
            "## With people, on templates it did not see",
            "",
            f"Log loss (less is better) and kappa (more is better) of six categories; {LEVEL:.0%} intervals "
            "by resampling templates.",
            "",
            "| group | labels | log loss | default | difference | kappa | default | difference |",
            "|---|---|---|---|---|---|---|---|",
            *(_row(each) for each in self.comparison),
            "",
            "## What it learned from",
            "",
            "| category | labels |",
            "|---|---|",
            *(f"| {category} | {n} |" for category, n in self.by_category.items()),
            "",
            "How the labels came about: " + ", ".join(f"{n} {source}" for source, n in self.by_source.items())
            + ".",
            f"{self.n_left_out} labels are left out, of responses that the default annotator cannot read: "
            "there this annotator abstains too.",
            "",
            "## Not for",
            "",
            "Other studies: it was tried on templates of this one alone. Where groups differ above, the gaps "
            "of its labels are off by it; correct them with a sample labelled by people.",
        ]  # fmt: skip
        notes = dict.fromkeys(
            f"{each.group or 'all'}: {measured.note}"
            for each in self.comparison
            for measured in (each.kappa, each.kappa_difference)
            if measured.note
        )
        return "\n".join([*lines, "", *(f"- {note}" for note in notes)]).rstrip() + "\n"


def _row(of: Comparison) -> str:
    differences = (of.log_loss_difference, of.kappa_difference)
    loss, kappa = (_text(each, signed=True) for each in differences)
    cells = (
        of.group or "all",
        str(of.n_labels),
        _text(of.log_loss),
        _text(of.default_log_loss),
        loss,
        _text(of.kappa),
        _text(of.default_kappa),
        kappa,
    )
    return f"| {' | '.join(cells)} |"


def _text(measured: Measured, *, signed: bool = False) -> str:
    if measured.value is None:
        return "undefined"
    sign = "+" if signed else ""
    if measured.low is None or measured.high is None:
        return f"{measured.value:{sign}.3f}"
    return f"{measured.value:{sign}.3f} ({measured.low:{sign}.3f} to {measured.high:{sign}.3f})"
