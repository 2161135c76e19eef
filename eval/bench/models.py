"""The models of the side-by-side comparison; torch is imported only when one is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from eval.bench.harness import Fitted, Task
from eval.peers.outcome import Report
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster import baselines
from mm4st_agent.forecaster.baselines import FUNCTIONS
from mm4st_agent.forecaster.stvlm.config import FusionName, RankRule
from mm4st_agent.forecaster.train_config import BASE_EPOCHS

When: TypeAlias = Literal["always", "few-shot", "named"]


@dataclass(frozen=True)
class Model:
    """One row of the table.

    Attributes:
        title: Its name for people, short enough for a table.
        fit: Trains it: the task, a seed, minutes of training at most, and what to tell the progress to.
        config: What it is trained with; part of a run's identity.
        ours: Compared with each of the others.
        seeded: False where every seed gives the same, so that one is run.
        when: 'named' runs only when it is asked for by name, 'few-shot' also on few shots: it is slow on a CPU.
    """

    title: str
    fit: Callable[[Task, int, float | None, Report], Fitted]
    config: Callable[[Task], dict[str, Any]]
    ours: bool = False
    seeded: bool = True
    when: When = "always"


def _baseline(name: str) -> Model:
    def fit(task: Task, seed: int, minutes: float | None, report: Report) -> Fitted:
        course, horizon = task.course, task.horizon
        usual = float(np.nanmean(course.train))
        order = list(dict.fromkeys([name, baselines.SLOT_MEAN]))

        def predict(origins: NDArray[np.intp]) -> NDArray[np.float32]:
            out = np.full((len(origins), horizon, course.observed.shape[1]), np.float32(np.nan))
            for each in order:
                out = np.where(np.isnan(out), FUNCTIONS[each](course.history, origins, horizon), out)
            return np.where(np.isnan(out), np.float32(usual), out)

        return Fitted(predict, timed=False)

    titles = {
        baselines.LAST_VALUE: "last value",
        baselines.SLOT_MEAN: "slot mean",
        baselines.SAME_SLOT_LAST_WEEK: "last week's slot",
    }
    return Model(titles[name], fit, lambda task: {"otherwise": "slot mean, then training mean"}, seeded=False)


def _fit_ridge(task: Task, seed: int, minutes: float | None, report: Report) -> Fitted:
    from eval.peers.ridge import fit_ridge

    found = fit_ridge(task.course, task.history, task.horizon, task.train, task.validation)
    return Fitted(found.predict, parameters=found.parameters)


def _ridge_config(task: Task) -> dict[str, Any]:
    from eval.peers.ridge import ALPHAS

    return {"alphas": list(ALPHAS)}


def _peer(name: str, title: str, checks: int = 1, when: When = "always") -> Model:
    def fit(task: Task, seed: int, minutes: float | None, report: Report) -> Fitted:
        import torch

        from eval.peers.fitting import fit as train
        from eval.peers.fitting import predictor
        from eval.peers.inputs import PeerInputs
        from eval.peers.recipes import NETWORKS, RECIPES

        recipe = RECIPES[name]
        learnt, usual = PeerInputs.of(task.course, task.history, task.horizon, calendar=recipe.calendar)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = NETWORKS[name](usual, task.course.panel.adjacency())
            done = train(
                network, (learnt, usual), task.train, task.validation, recipe,
                seed=seed, max_minutes=minutes, checks=checks, report=report,
            )  # fmt: skip
        parameters = sum(p.numel() for p in network.parameters())
        return Fitted(predictor(network, usual), parameters, done.epochs, done.stopped, done.best_mae)

    def config(task: Task) -> dict[str, Any]:
        from eval.peers.recipes import RECIPES

        recipe = RECIPES[name]
        unused = set() if recipe.bfloat16 else {"bfloat16"}
        return {**recipe.model_dump(mode="json", exclude=unused), "checks": checks}

    return Model(title, fit, config, when=when)


def _numeric(task: Task) -> dict[str, Any]:
    return {"history": task.history, "horizon": task.horizon}


def _ours(
    title: str,
    network: Callable[[Task], dict[str, Any]],
    when: When = "always",
    base_epochs: int = 0,
    *,
    control: bool = False,
) -> Model:
    """A forecaster of this project; `network` gives the fields of its config that are not the default.

    A `control` lacks something that a forecaster of ours has, and is what that one is compared with.
    """

    def training(task: Task) -> dict[str, Any]:
        return {"network": network(task), "base_epochs": base_epochs}

    def fit(task: Task, seed: int, minutes: float | None, report: Report) -> Fitted:
        from eval.bench.ours import fit_ours

        return fit_ours(task, training(task), seed, minutes)

    def config(task: Task) -> dict[str, Any]:
        from eval.bench.ours import identity, training_config

        return identity(training_config(task, training(task), 0, None))

    return Model(title, fit, config, ours=not control, when=when)


def _st_vlm(backbone: str, **options: Any) -> Callable[[Task], dict[str, Any]]:
    return lambda task: {"numeric": _numeric(task), "backbone": backbone, **options}


def _control(title: str, **options: Any) -> Model:
    return _ours(title, _st_vlm("pico", **options), "named", BASE_EPOCHS, control=True)


def _adapted(rule: RankRule) -> Callable[[Task], dict[str, Any]]:
    def network(task: Task) -> dict[str, Any]:
        if task.backbone is None:
            raise UsageError(
                "The rules for ranks adapt a pretrained vision-language model, and none is given.",
                "Add --backbone and the folder of one.",
            )
        return {"numeric": _numeric(task), "backbone": task.backbone, "ranks": rule}

    return network


MODALITIES: Mapping[str, Model] = {
    "series-only": _control("series alone", text_tokens=0, vision="none"),
    "text-other": _control("text of other windows", told="other"),
    "text-constant": _control("always the same text", told="constant"),
    "text-numbers": _control("facts as numbers", told="numbers"),
    "vision-other": _control("other windows' pictures", shown="other"),
    "vision-blank": _control("blank pictures", shown="blank"),
    "vision-numbers": _control("pictures as numbers", vision="nodes"),
}
"""What pico is compared with to learn whether text and vision pay."""
FUSIONS: Mapping[str, Model] = {
    f"fusion-{name}": _control(f"fusion: {name}", fusion=name) for name in get_args(FusionName) if name != "attention"
}


RANKS: Mapping[str, Model] = {
    "ranks-adaptive": _ours("ranks by the probe", _adapted("adaptive"), "named", BASE_EPOCHS),
    "ranks-uniform": _ours("uniform ranks", _adapted("uniform"), "named", BASE_EPOCHS, control=True),
    "ranks-random": _ours("random ranks", _adapted("random"), "named", BASE_EPOCHS, control=True),
    "ranks-adalora": _ours("AdaLoRA", _adapted("adalora"), "named", BASE_EPOCHS, control=True),
    "ranks-none": _ours("frozen backbone", _adapted("none"), "named", BASE_EPOCHS, control=True),
}
"""Ways to adapt a pretrained backbone, all but the last with as many parameters."""

MODELS: Mapping[str, Model] = {
    "last-value": _baseline(baselines.LAST_VALUE),
    "slot-mean": _baseline(baselines.SLOT_MEAN),
    "same-slot-last-week": _baseline(baselines.SAME_SLOT_LAST_WEEK),
    "ridge": Model("ridge", _fit_ridge, _ridge_config, seeded=False),
    "dlinear": _peer("dlinear", "DLinear"),
    "stid": _peer("stid", "STID"),
    "stid-calendar": _peer("stid-calendar", "STID + calendar"),
    "graph-wavenet": _peer("graph-wavenet", "Graph WaveNet", checks=4),
    "staeformer": _peer("staeformer", "STAEformer", when="few-shot"),
    "st-vlm-numeric": _ours("ST-VLM numeric", _numeric),
    "st-vlm-pico": _ours("ST-VLM pico", _st_vlm("pico"), base_epochs=BASE_EPOCHS),
    "st-vlm-nano": _ours("ST-VLM nano", _st_vlm("nano"), "named", BASE_EPOCHS),
    **MODALITIES,
    **FUSIONS,
    **RANKS,
}
"""By the name that `--models` takes, in the order of the table."""
GROUPS = {
    "modalities": ("st-vlm-pico", *MODALITIES),
    "fusions": ("st-vlm-pico", *FUSIONS),
    "ranks": tuple(RANKS),
}
"""Names that stand for several models."""


def compared_models() -> dict[str, Model]:
    """All but the controls."""
    return {name: model for name, model in MODELS.items() if name not in {**MODALITIES, **FUSIONS, **RANKS}}


def chosen(names: tuple[str, ...] | None, *, few_shot: bool) -> dict[str, Model]:
    """The models `names`, or all that such a comparison runs.

    Raises:
        UsageError: there is no such model.
    """
    if names is None:
        return {
            name: model
            for name, model in MODELS.items()
            if model.when == "always" or (few_shot and model.when == "few-shot")
        }
    names = tuple(each for name in names for each in GROUPS.get(name, (name,)))
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise UsageError(f"No model {unknown[0]!r} is compared.", f"Known: {', '.join((*GROUPS, *MODELS))}.")
    return {name: model for name, model in MODELS.items() if name in names}
