"""The stage *design*: templates x signals -> prompts. Pure and deterministic.

It also looks for what would make prompts of one template differ by more than the signal, or be toxic
by their own words. It asks no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from servicegap.calls import Design
from servicegap.errors import InputError
from servicegap.records import Prompt, Signal, Template, content_hash
from servicegap.signals import NEUTRAL, choose_signals, load_signals
from servicegap.store import Store, read_meta, write_design, write_meta
from servicegap.study import SignalsPlan, Study, TemplatesPlan
from servicegap.templates import BUILT_IN, fill, load_templates
from servicegap.templates.checks import flagged_words

Read = TypeVar("Read")


def build_design(study: Study) -> Design:
    """Return the prompts that the study's plan asks for.

    Raises
    ------
    InputError
        With every mistake in the files that the plan names.
    """
    problems: list[str] = []
    signals = _told_together(_signals, study, problems)
    templates = _told_together(_templates, study, problems)
    if problems:
        raise InputError(*problems)
    prompts = cross(templates, signals)
    warnings = check(templates, signals, prompts, study.plan.plan.reference)
    warnings += [*_unknown_targets(study, templates, signals), *_unlike_sampling(study)]
    return Design(signals, templates, prompts, warnings)


def cross(templates: Sequence[Template], signals: Sequence[Signal]) -> list[Prompt]:
    """Fill every template with every signal.

    Examples
    --------
    >>> prompts = cross([Template("t", "{name} left.")], [Signal("Ana", "A"), Signal("Bo", "B")])
    >>> [prompt.text for prompt in prompts]
    ['Ana left.', 'Bo left.']
    """
    return [
        Prompt(
            content_hash(template.text, signal.text),
            template.id,
            signal.text,
            fill(template.text, signal.text),
        )
        for template in templates
        for signal in signals
    ]


def check(
    templates: Sequence[Template], signals: Sequence[Signal], prompts: Sequence[Prompt], reference: str
) -> list[str]:
    """Return what a careful designer would want to know before asking, in words.

    Raises
    ------
    InputError
        If two prompts are the same text, or there is nobody to compare.
    """
    groups = Counter(signal.group for signal in signals if signal.group)
    problems = []
    if reference not in groups:
        problems.append(
            f"study.yaml: plan: reference {reference!r} has no signals; groups that have: {', '.join(groups)}"
        )
    if len(groups) < 2:
        problems.append("study.yaml: signals: a gap needs a reference and at least one other group")
    texts = Counter(prompt.text for prompt in prompts)
    same = [text for text, n in texts.items() if n > 1]
    if same:
        more = f", and {len(same) - 1} more" if len(same) > 1 else ""
        problems.append(f"two prompts are the same text: {same[0]!r}{more}; make the templates differ")
    if problems:
        raise InputError(*problems)
    warnings = [
        f"template {template.id}: its own words are on the lexicon of harm: {', '.join(found)}"
        for template in templates
        if (found := flagged_words(template.text))
    ]
    warnings += [
        f"group {group}: only {n} signal{'s' * (n > 1)}; "
        "with so few a gap cannot be told from differences between names"
        for group, n in groups.items()
        if n < 4
    ]
    return warnings


def _unknown_targets(study: Study, templates: Sequence[Template], signals: Sequence[Signal]) -> list[str]:
    # The built-in sets name more targets than most studies ask about: none of those is a typo.
    known = {template.target for name in BUILT_IN for template in load_templates(name)}
    groups = list(dict.fromkeys(signal.group for signal in signals if signal.group))
    unknown = Counter(
        template.target
        for template in templates
        if template.target and template.target not in {*groups, *known}
    )
    return [
        f"target {target!r} ({n} template{'s' * (n > 1)}) is no group of the study; the groups are "
        f"{', '.join(groups)}: where one of them is meant, spell it the same, so that it is found"
        for target, n in unknown.items()
    ]


def _unlike_sampling(study: Study) -> list[str]:
    """Tell where llama.cpp would cut the distribution of words and other servers would not."""
    local = [model.id for model in study.plan.models if model.id.startswith("local:")]
    if not local or len(local) == len(study.plan.models):
        return []
    return [
        f"condition {condition.id}: without top_k and min_p, {', '.join(local)} leaves out the less likely "
        "words (llama.cpp's top_k 40, min_p 0.05), which other models may not; compare them with care, or "
        "give each kind of model a study of its own"
        for condition in study.plan.conditions
        if condition.decoding.top_k is None or condition.decoding.min_p is None
    ]


def save_design(store: Store, design: Design) -> bool:
    """Keep the design if it is new; return whether it was."""
    with store.writing() as connection:
        if read_meta(connection, "design") == design.hash:
            return False
        write_design(connection, design.signals, design.templates, design.prompts)
        write_meta(connection, "design", design.hash)
    return True


def _told_together(read: Callable[[Study], list[Read]], study: Study, problems: list[str]) -> list[Read]:
    try:
        return read(study)
    except InputError as error:
        problems += error.problems
        return []


def _signals(study: Study) -> list[Signal]:
    plan: SignalsPlan = study.plan.signals
    known = [
        signal
        for name in plan.files
        for signal in load_signals(None if name == "names" else study.path(name))
    ]
    twice = [text for text, n in Counter(signal.text for signal in known).items() if n > 1]
    if twice:
        raise InputError(f"study.yaml: signals: files: {', '.join(twice)}: in two files; each signal once")
    sizes = Counter(signal.group for signal in known if signal.group)
    groups = plan.groups or tuple(sizes)
    if plan.names_per_group is None:
        # One of each is chosen only to have the groups checked: none unknown, none twice.
        choose_signals(known, groups, 1)
        chosen = [signal for group in groups for signal in known if signal.group == group]
    else:
        chosen = choose_signals(known, groups, plan.names_per_group)
    return [*chosen, NEUTRAL] if plan.control else chosen


def _templates(study: Study) -> list[Template]:
    plan: TemplatesPlan = study.plan.templates
    known = [
        template
        for name in plan.files
        for template in load_templates(name if name in BUILT_IN else study.path(name))
    ]
    twice = [name for name, n in Counter(template.id for template in known).items() if n > 1]
    if twice:
        raise InputError(f"study.yaml: templates: files: {', '.join(twice)}: in two files; each id once")
    if plan.study_only:
        known = [template for template in known if template.study]
    if plan.targets is not None:
        targets = {template.target for template in known if template.target}
        unknown = [target for target in plan.targets if target not in targets]
        if unknown:
            raise InputError(
                f"study.yaml: templates: targets: {', '.join(unknown)}: no template has it; "
                f"allowed: {', '.join(sorted(targets))}"
            )
        known = [template for template in known if template.target in (None, *plan.targets)]
    if plan.per_target is not None:
        known = _first_of_each_target(known, plan.per_target)
    if not known:
        raise InputError("study.yaml: templates: no template is left; loosen targets or study_only")
    return known


def _first_of_each_target(templates: Sequence[Template], per_target: int) -> list[Template]:
    taken: Counter[str] = Counter()
    chosen = []
    for template in templates:
        if template.target is not None:
            taken[template.target] += 1
        if template.target is None or taken[template.target] <= per_target:
            chosen.append(template)
    return chosen
