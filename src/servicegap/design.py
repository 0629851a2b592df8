"""The stage *design*: templates x signals -> prompts. Pure and deterministic.

It also looks for what would make prompts of one template differ by more than the signal, or be toxic
by their own words. It asks no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from servicegap.calls import Design
from servicegap.errors import InputError
from servicegap.gathering import gathered
from servicegap.records import Prompt, Signal, Template, content_hash
from servicegap.signals import NEUTRAL, choose_signals, load_signals
from servicegap.store import Store, read_meta, write_design, write_meta
from servicegap.study import SignalsPlan, Study, TemplatesPlan
from servicegap.templates import BUILT_IN, fill, load_templates
from servicegap.templates.checks import flagged_words


def build_design(study: Study) -> Design:
    """Return the prompts that the study's plan asks for.

    Raises
    ------
    InputError
        With every mistake in the files that the plan names, and in what the plan says of their groups and
        targets.
    """
    problems: list[str] = []
    signals: list[Signal] = []
    templates: list[Template] = []
    with gathered(problems):
        signals = _signals(study)
    with gathered(problems):
        templates = _templates(study)
    prompts = cross(templates, signals)
    # What could be read is looked at further: a mistake in one file hides none of another's.
    if signals:
        problems += _unfit_groups(study, signals)
    if templates:
        problems += _unfit_weights(study, templates)
    problems += _same_prompts(study, prompts)
    if problems:
        raise InputError(*problems)
    warnings = [
        *_harsh_words(templates),
        *_few_signals(signals),
        *_unknown_targets(study, templates, signals),
        *_unlike_sampling(study),
    ]
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


def _unfit_groups(study: Study, signals: Sequence[Signal]) -> list[str]:
    """Tell what the plan says of groups that the signals do not have."""
    plan = study.plan.plan
    groups = list(dict.fromkeys(signal.group for signal in signals if signal.group))
    there = f"groups that have: {', '.join(groups)}"
    problems = []
    if plan.reference not in groups:
        told = f"plan: reference {plan.reference!r} has no signals; {there}"
        problems.append(study.problem(("plan", "reference"), told))
    problems += [
        study.problem(("plan", "family", number), f"plan: family: {group!r} has no signals; {there}")
        for number, group in enumerate(plan.family or ())
        if group not in groups
    ]
    if len(groups) < 2:
        told = "signals: a gap needs a reference and at least one other group"
        problems.append(study.problem(("signals",), told))
    return problems


def _unfit_weights(study: Study, templates: Sequence[Template]) -> list[str]:
    """Tell which weights of the plan are of no target, and which target has none."""
    shares = study.plan.plan.shares
    if shares is None:
        return []
    loc = ("plan", "weights", "shares")
    targets = list(dict.fromkeys(template.target for template in templates if template.target))
    if not targets:
        told = "plan: weights: no template of the study has a target; leave weights out, or name targets"
        return [study.problem(loc, told)]
    there = f"targets of the study's templates: {', '.join(targets)}"
    return [
        *(
            study.problem((*loc, target), f"plan: weights: {target!r} is the target of no template; {there}")
            for target in shares
            if target not in targets
        ),
        *(
            study.problem(
                loc, f"plan: weights: the target {target!r} has no share; give it one, 0 = left out"
            )
            for target in targets
            if target not in shares
        ),
    ]


def _same_prompts(study: Study, prompts: Sequence[Prompt]) -> list[str]:
    texts = Counter(prompt.text for prompt in prompts)
    same = [text for text, n in texts.items() if n > 1]
    if not same:
        return []
    more = f", and {len(same) - 1} more" if len(same) > 1 else ""
    told = f"two prompts are the same text: {same[0]!r}{more}; make the templates differ"
    return [study.problem(("templates",), told)]


def _harsh_words(templates: Sequence[Template]) -> list[str]:
    return [
        f"template {template.id}: its own words are on the lexicon of harm: {', '.join(found)}"
        for template in templates
        if (found := flagged_words(template.text))
    ]


def _few_signals(signals: Sequence[Signal]) -> list[str]:
    groups = Counter(signal.group for signal in signals if signal.group)
    return [
        f"group {group}: only {n} signal{'s' * (n > 1)}; "
        "with so few a gap cannot be told from differences between names"
        for group, n in groups.items()
        if n < 4
    ]


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


def _signals(study: Study) -> list[Signal]:
    plan: SignalsPlan = study.plan.signals
    problems: list[str] = []
    known: list[Signal] = []
    for name in plan.files:
        with gathered(problems):
            known += load_signals(None if name == "names" else study.path(name))
    if problems:  # with a part of the signals, groups would seem to be missing
        raise InputError(*problems)
    twice = [text for text, n in Counter(signal.text for signal in known).items() if n > 1]
    if twice:
        told = f"signals: files: {', '.join(twice)}: in two files; each signal once"
        raise InputError(study.problem(("signals", "files"), told))
    chosen = _chosen(study, known)
    return [*chosen, NEUTRAL] if plan.control else chosen


def _chosen(study: Study, known: Sequence[Signal]) -> list[Signal]:
    plan: SignalsPlan = study.plan.signals
    groups = plan.groups or tuple(dict.fromkeys(signal.group for signal in known if signal.group))
    unfit: list[str] = []
    too_few: list[str] = []
    # One of each is chosen only to have the groups checked: none unknown, none twice.
    with gathered(unfit):
        choose_signals(known, groups, 1)
    chosen = [signal for group in groups for signal in known if signal.group == group]
    if plan.names_per_group is not None:
        with gathered(too_few):
            chosen = choose_signals(known, groups, plan.names_per_group)
    problems = [study.problem(("signals", "groups"), told) for told in unfit]
    problems += [study.problem(("signals", "names_per_group"), told) for told in too_few if told not in unfit]
    if problems:
        raise InputError(*problems)
    return chosen


def _templates(study: Study) -> list[Template]:
    plan: TemplatesPlan = study.plan.templates
    problems: list[str] = []
    known: list[Template] = []
    for name in plan.files:
        with gathered(problems):
            known += load_templates(name if name in BUILT_IN else study.path(name))
    if problems:  # with a part of the templates, targets would seem to be missing
        raise InputError(*problems)
    twice = [name for name, n in Counter(template.id for template in known).items() if n > 1]
    if twice:
        told = f"templates: files: {', '.join(twice)}: in two files; each id once"
        raise InputError(study.problem(("templates", "files"), told))
    if plan.study_only:
        known = [template for template in known if template.study]
    if plan.targets is not None:
        targets = {template.target for template in known if template.target}
        unknown = [target for target in plan.targets if target not in targets]
        if unknown:
            told = (
                f"templates: targets: {', '.join(unknown)}: no template has it; "
                f"allowed: {', '.join(sorted(targets))}"
            )
            raise InputError(study.problem(("templates", "targets"), told))
        known = [template for template in known if template.target in (None, *plan.targets)]
    if plan.per_target is not None:
        known = _first_of_each_target(known, plan.per_target)
    if not known:
        told = "templates: no template is left; loosen targets or study_only"
        raise InputError(study.problem(("templates",), told))
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
