"""flatrec train, flatrec evaluate."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.messages import print_progress
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.cli.progress import training_bar
from flatrec.utils.messages import count
from flatrec.utils.processes import Processes, speaks

logger = logging.getLogger(__name__)
GROUPS_ALONE = 'evaluation.users="groups"'


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run, which is created.", show_default=False)],
    data: options.Data = None,
    model: options.Model = None,
    strategy: options.Strategy = None,
    seed: options.Seed = None,
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    refit: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a run that is trained again on all interactions, for the number of epochs that it chose.",
            show_default=False,
        ),
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an earlier run of the same model, whose parameters training begins with: rows of users and "
            "items by their ids, while new ones keep their initial values.",
            show_default=False,
        ),
    ] = None,
    group: options.Group = False,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Train a recommender and score it on the test split.

    Example: `flatrec train --data shop --model freedom --strategy bsam+ --set strategy.rho=0.1 --out runs/first`
    """
    from flatrec.api import load_to_train, run_experiment
    from flatrec.cli.windows import train_windows
    from flatrec.final_fit import check_beginning, final_fit
    from flatrec.registry.instantiate import own_defaults, with_defaults
    from flatrec.registry.model_defaults import defaults_sentence

    taken = ""
    if refit is not None:
        _check_repeated({"--config": experiment, "--set": sets, "--seed": seed, "--group": group or None})
        settings, dataset, origin = final_fit(refit, out, data=data, device=device, model=model, strategy=strategy)
        check_beginning(refit, out, init_from, resume=resume)
    else:
        file = _recorded(out, data, experiment) if resume else experiment
        sets = [*(sets or ()), *([GROUPS_ALONE] if group else [])]
        settings = options.experiment(file, sets, data=data, model=model, strategy=strategy, seed=seed, device=device)
        taken = defaults_sentence(own_defaults(settings))
        settings = with_defaults(settings)  # errors show before the data are read
        dataset, origin = load_to_train(settings.data, settings.split), None
    if dataset.split_report.settings.windows:
        if (size := Processes.of_environment().size) > 1:
            raise ValueError(f"windows are trained one after the other, but {size} processes were started; start one")
        if init_from is not None:
            raise ValueError("--init-from is for a run of its own, not for runs over windows; set split.windows = 0")
        if taken:
            print_progress(taken)
        train_windows(settings, dataset, out, resume=resume, overwrite=overwrite, json=json)
        return
    bar = training_bar(settings, taken)
    run = run_experiment(
        settings,
        dataset,
        out,
        resume=resume,
        overwrite=overwrite,
        callbacks=[bar] if speaks() else [],
        origin=origin,
        init_from=init_from,
    )
    if not speaks():
        return
    if json:
        print_json(run.result)
    else:
        _print_result(run.result, out, run.dataset.interactions.count("train"))


def _recorded(out: Path, data: str | None, experiment: Path | None) -> Path | None:
    """Return the file of the settings of a run that is resumed: its own, unless another is named."""
    from flatrec.runs import run_dir

    if experiment is not None:
        return experiment
    if run_dir.has_run(out):
        return out / run_dir.EXPERIMENT
    if data is None and run_dir.windows(out):
        raise ValueError(f"{out} holds runs over windows; resume them by the whole command that began them")
    if data is None:
        raise FileNotFoundError(f"{out} holds no run to resume; name the folder of a run, or leave out --resume")
    return None


def _check_repeated(given: Mapping[str, object]) -> None:
    """Refuse options that a final fit cannot have, as it repeats the settings of a run."""
    for option, value in given.items():
        if value is not None and value != []:
            raise ValueError(
                f"--refit repeats all settings of a run, so that {option} does not go with it; leave it out, or train "
                "a run with it first and refit that"
            )


def _print_result(result: Mapping[str, Any], out: Path, n_interactions: int) -> None:
    """Print the scores of a run and which epoch they are of; of a final fit, what was fitted."""
    from flatrec.utils.user_classes import short

    model, origin = short(result["model"]), result["refit"]
    if origin is None:
        scored = scored_title(result["settings"]["evaluation"]["users"])
        print_metrics(f"{model} · {short(result['strategy'])} · {result['data']['name']}{scored}", result)
        _print_sentences(*(sentence for split in ("valid", "test") for sentence in _sentences(result, split)))
        print_text(f"{_selected_epoch(result)}; the run is in {out}")
        return
    epochs = f", for {count(result['epochs'], 'epoch')}" if result["epochs"] else ""
    print_text(
        f"{model} is fitted to all {n_interactions} interactions of {result['data']['name']}{epochs}, with the "
        f"settings of {origin['run']}; nothing is left to score it by, and the scores of that run stand in result.json "
        f"under refit; the final fit is in {out}"
    )


def _sentences(result: Mapping[str, Any], split: str) -> tuple[str, ...]:
    """Return what a reader of the scores of a split should know of who and what is in them."""
    data, undefined = result["data"], result["undefined"][split]
    counts = data["users_without_training"][split], data["interactions_with_unknown_items"][split]
    unknown_users = result["settings"]["evaluation"]["unknown_users"]
    return (
        unknown_sentence(split, *counts, unknown_users=unknown_users),
        undefined_sentence(split, undefined),
        candidates_sentence(split, result.get("candidates", {}).get(split)),
    )


def _selected_epoch(result: Mapping[str, Any]) -> str:
    """Return a sentence on which epoch the model is from, and why."""
    if not result["epochs"]:
        return "computed without epochs"
    if result["selected"] == "last":
        return f"the last of {result['epochs']} epochs is kept, as training.select says"
    other = result["selected"] and result["monitor"] != result["settings"]["training"]["monitor"]
    return f"best epoch {result['best_epoch']} of {result['epochs']}" + (f" by {result['monitor']}" if other else "")


def evaluate(
    run: options.RunDir,
    split: options.EvaluatedSplit = "test",
    group: options.Group = False,
    model: options.OwnModel = None,
    metrics: options.OwnMetrics = None,
    data: options.MovedData = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Score a finished run again; if its data have changed since, its recommender on the data as they are now.

    Example: `flatrec evaluate runs/first --split valid`
    """
    from flatrec.api import load_run
    from flatrec.cli import changed_data
    from flatrec.runs import run_dir

    scored = options.evaluated_split(split)
    dataset = changed_data.data_of(run, data)
    result: Mapping[str, Any] = {}
    of_whom = "groups" if group else run_dir.read_experiment(run).evaluation.users
    differing: tuple[str, ...] = ()
    if changed_data.has_changed(run, dataset):
        found = changed_data.evaluate_changed(run, dataset, scored, metrics or (), group=group)
    else:
        loaded = load_run(run, dataset, device or "auto", model, metrics=metrics or ())
        found = replace(loaded, users=of_whom).evaluate(scored)
        result = loaded.result
        differing = loaded.differing(scored, found.metrics) if of_whom == loaded.users else ()
    if json:
        about = {"run": str(run), "split": scored, **({} if of_whom == "all" else {"users": of_whom})}
        about |= {"candidates": found.candidates} if found.candidates == "released" else {}
        print_json({**about, "metrics": found.metrics, "differing": list(differing)})
    else:
        print_metrics(f"{run}{scored_title(of_whom)}", {scored: found.metrics})
        _print_sentences(
            unknown_sentence(
                scored,
                found.n_users_without_training,
                found.n_interactions_with_unknown_items,
                unknown_users=found.unknown_users,
            ),
            undefined_sentence(scored, found.n_undefined),
            candidates_sentence(scored, found.candidates),
        )
    if differing:
        _warn_of_difference(result, scored, found.metrics, differing)


def scored_title(users: str) -> str:
    """Return what a title says of who is scored; empty if it is everybody."""
    return "" if users == "all" else f" · {users} alone"


def unknown_sentence(split: str, n_users: int, n_interactions: int, *, unknown_users: str) -> str:
    """Return a sentence on what training does not know of a split; empty if it knows all users and items."""
    if not n_users and not n_interactions:
        return ""
    scored = "are scored as well" if unknown_users == "include" else "are not scored"
    return (
        f"{split}: users without a training interaction, who {scored} (evaluation.unknown_users): {n_users}; "
        f"interactions with items without one: {n_interactions}"
    )


def candidates_sentence(split: str, candidates: str | None) -> str:
    """Return a sentence on what sampled metrics rank among; empty unless it was released with the data."""
    if candidates != "released":
        return ""
    return f"{split}: metrics called sampled_ rank among the items that were released with the data, not drawn here"


def undefined_sentence(split: str, undefined: Mapping[str, int]) -> str:
    """Return a sentence on how many users each metric is not defined for; empty if all are for everybody."""
    if not undefined:
        return ""
    counts: dict[str, list[int]] = {}
    for name, n_users in undefined.items():
        counts.setdefault(name.partition("@")[0], []).append(n_users)
    listed = ", ".join(
        f"{name} {found[0] if len(set(found)) == 1 else f'{min(found)} to {max(found)}'}"
        for name, found in counts.items()
    )
    return f"{split}: scored users for whom a metric is not defined, and who are left out of its mean: {listed}"


def _print_sentences(*sentences: str) -> None:
    for sentence in filter(None, sentences):
        print_text(sentence)


def _warn_of_difference(
    result: Mapping[str, Any], split: str, metrics: Mapping[str, float], names: Sequence[str]
) -> None:
    """Warn that a run does not score what it scored after training."""
    widest = max(names, key=lambda name: abs(metrics[name] - result[split][name]))
    origin = {**result["versions"], "device": result["machine"]["device"]}
    logger.warning(
        "%d of %d metrics differ from result.json, most of all %s: %.6g now, %.6g after training (%s); the last digits "
        "may differ between versions, threads and devices, but a larger difference means that the run or its data "
        "were changed",
        len(names),
        len(metrics),
        widest,
        metrics[widest],
        result[split][widest],
        ", ".join(f"{name} {value}" for name, value in origin.items()),
    )


def print_metrics(title: str, scores: Mapping[str, Any]) -> None:
    """Print a table with one row per metric and k, and one column per split."""
    shown = [split for split in ("valid", "test") if scores.get(split)]
    if not shown:
        print_text(f"{title}: there is neither a validation nor a test split to score")
        return
    names = list(scores[shown[0]])
    print_table(title, ["metric", *shown], [[name, *(scores[split][name] for split in shown)] for name in names])
