"""Studies that compare test scores: of strategies alone, or with one factor varied besides them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from matplotlib.figure import Figure

from flatrec.evaluation.significance import spread
from flatrec.registry.instantiate import config_class
from flatrec.research.reporting.formats import metric_name
from flatrec.research.reporting.plots import BarPanel, bars
from flatrec.research.reporting.study_result import CardColumn, CardEntry, Image
from flatrec.research.studies.base import Analysis, Label, PlannedRun, Request, Study, StudyRuns, Tree, grid
from flatrec.research.studies.comparisons import ScoreRow, compare_groups, findings_of, long_table, wide_table

HEADLINE_METRIC = "recall@10"
BASELINE = "plain"  # strategy over which robustness cards show the gain
AMR, TEXTS = "amr", "augmentation"


class OverallStudy(Study):
    """Every model with every strategy on every data set (the paper's Table II).

    plain+ stands beside the mixed strategies: it too sees two batches per step, so a gain over it is due to the
    perturbation.
    """

    NAME = "overall"
    TITLE = "Overall comparison"
    QUESTION = "Do BSAM and BSAM+ improve models with and without modalities (RQ1, RQ2)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan models times strategies times data sets times seeds."""
        return grid(request)

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores, beside what the paper reports."""
        return _analysis(self, runs, with_cards=True)


class CompetitorsStudy(Study):
    """Flat-minima strategies against one another, and the same with the plain gradient of a second batch mixed in."""

    NAME = "competitors"
    TITLE = "Competing methods"
    QUESTION = "How do BSAM and BSAM+ compare with other flat-minima strategies, plain and mixed (RQ5, RQ9)?"
    STRATEGIES = (
        *("plain", "sam", "asam", "fishersam", "friendlysam", "mg", "bsam"),
        *("plain+", "sam+", "asam+", "fishersam+", "friendlysam+", "bsam+"),
    )

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan models times strategies times data sets times seeds."""
        return grid(request)

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores, beside what the paper reports."""
        return _analysis(self, runs)


class OptimizersStudy(Study):
    """The same comparison under several base optimizers.

    Args:
        names: names of optimizers; settings of the base optimizer, such as its learning rate, go to all of them.
    """

    NAME = "optimizers"
    TITLE = "Base optimizers"
    QUESTION = "Do the strategies help under other base optimizers (RQ6)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")

    def __init__(self, *, names: tuple[str, ...] = ("adam", "rmsprop", "adagrad")) -> None:
        self.names = names

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid once per optimizer."""
        options = request.base.optimizer.options
        changes: dict[Label, Tree] = {name: {"optimizer": {"name": name, **options}} for name in self.names}
        return grid(request, changes, "optimizer")

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores by optimizer."""
        conditions: dict[Label, str] = {name: "" if name == "adam" else name for name in self.names}
        return _analysis(self, runs, "optimizer", conditions=conditions)


class BatchSizeStudy(Study):
    """The same comparison at several batch sizes.

    Args:
        sizes: numbers of interactions per batch.
    """

    NAME = "batch-size"
    TITLE = "Batch size"
    QUESTION = "Do the strategies help at other batch sizes (RQ8)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")

    def __init__(self, *, sizes: tuple[int, ...] = (1024, 2048, 4096)) -> None:
        self.sizes = sizes

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid once per batch size."""
        changes: dict[Label, Tree] = {size: {"training": {"batch_size": size}} for size in self.sizes}
        return grid(request, changes, "batch size")

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores by batch size."""
        conditions: dict[Label, str] = {size: f"batch {size}" for size in self.sizes}
        return _analysis(self, runs, "batch size", conditions=conditions)


class CombinationsStudy(Study):
    """Strategies combined with adversarial noise on the features (AMR), with texts of a language model, and with both.

    Args:
        texts: a ``.npy`` file of the text features of the augmented texts, one row per item; without it, the study is
            of AMR alone.
        epsilon: length of AMR's noise.
    """

    NAME = "combinations"
    TITLE = "Combinations"
    QUESTION = "Does BSAM+ go together with AMR and with augmented texts (RQ7)?"
    STRATEGIES = ("plain", "plain+", "bsam+")

    def __init__(self, *, texts: str = "", epsilon: float = 0.1) -> None:
        self.texts, self.epsilon = texts, epsilon

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid once per combination.

        Raises:
            FileNotFoundError: there is no such file of texts.
            ValueError: there are several data sets, but one file of texts; or the file does not fit the data.
        """
        if self.texts and len(request.data) > 1:
            raise ValueError("study.texts are those of one data set, but several were given; run the study once each")
        if self.texts:
            replace(request.sources[0], texts=self.texts).load()  # errors show before anything is trained
        amr: Tree = {"training": {"amr": {"epsilon": self.epsilon}}}
        changes: dict[Label, Tree] = {"none": {}, AMR: amr}
        if self.texts:
            changes |= {TEXTS: {}, f"{AMR}+{TEXTS}": amr}
        return [self._with_texts(run) for run in grid(request, changes, "combined with")]

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores by combination."""
        conditions: dict[Label, str] = {"none": "", AMR: AMR, TEXTS: TEXTS, f"{AMR}+{TEXTS}": f"{AMR}+{TEXTS}"}
        analysis = _analysis(self, runs, "combined with", conditions=conditions)
        if self.texts:
            return analysis
        sentence = "Augmented texts are not part of this study, since no study.texts were given."
        return replace(analysis, findings=(*analysis.findings, sentence))

    def _with_texts(self, run: PlannedRun) -> PlannedRun:
        augmented = str(run.labels["combined with"]).endswith(TEXTS)
        return replace(run, source=replace(run.source, texts=self.texts)) if augmented else run


class ParametersStudy(Study):
    """One setting varied at a time, the others at their values.

    Args:
        rho: radii.
        lam: weights of the running mean.
        kappa: weights of the perturbed gradient, for mixed strategies.
        distance: names of distances between the gradient of the batch and the mean.
    """

    NAME = "parameters"
    TITLE = "Settings"
    QUESTION = "How sensitive are BSAM and BSAM+ to rho, lambda, kappa and the distance (RQ12)?"
    STRATEGIES = ("bsam", "bsam+")

    def __init__(
        self,
        *,
        rho: tuple[float, ...] = (0.05, 0.1, 0.15, 0.2),
        lam: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8),
        kappa: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8),
        distance: tuple[str, ...] = ("manhattan", "euclidean", "cosine"),
    ) -> None:
        self.rho, self.lam, self.kappa, self.distance = rho, lam, kappa, distance

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid once per value of each setting that the strategy has.

        Raises:
            ValueError: no strategy has any of the settings.
        """
        planned = []
        for strategy in request.strategies:
            options = config_class("strategy", strategy).model_fields
            changes: dict[Label, Tree] = {
                f"{name} {value}": {"strategy": {name: value}}
                for name, values in vars(self).items()
                if name in options
                for value in values
            }
            planned += grid(replace(request, strategies=(strategy,)), changes, "setting") if changes else []
        if not planned:
            raise ValueError(f"none of {', '.join(request.strategies)} has rho, lam, kappa or distance; choose bsam+")
        return planned

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores by setting."""
        analysis = _analysis(self, runs, "setting", baselines={})
        return replace(analysis, findings=(*analysis.findings, *_ranges(runs)))


class IntervalStudy(Study):
    """Perturbed steps only at an interval, plain steps between them.

    Args:
        intervals: values of the strategies' setting ``interval``: one perturbed step per so many steps.
    """

    NAME = "interval"
    TITLE = "Interval of perturbed steps"
    QUESTION = "Is a perturbation at every step the best choice (Figures 1 and 2)?"
    STRATEGIES = ("plain", "sam", "mg", "bsam")

    def __init__(self, *, intervals: tuple[int, ...] = (1, 2, 3, 5, 10)) -> None:
        self.intervals = intervals

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid once per interval; the runs of strategies without an interval stand under every label.

        Raises:
            ValueError: no strategy has an interval.
        """
        with_interval = {
            name for name in request.strategies if "interval" in config_class("strategy", name).model_fields
        }
        if not with_interval:
            raise ValueError(
                f"none of {', '.join(request.strategies)} has an interval; add a strategy that has one, such as sam, "
                "bsam or mg"
            )
        planned: list[PlannedRun] = []
        for strategy in request.strategies:
            changes: dict[Label, Tree] = {
                interval: {"strategy": {"interval": interval}} if strategy in with_interval else {}
                for interval in self.intervals
            }
            planned += grid(replace(request, strategies=(strategy,)), changes, "interval")
        return planned

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare scores by interval."""
        return _analysis(self, runs, "interval")


def _analysis(
    study: Study,
    runs: StudyRuns,
    factor: str = "",
    *,
    conditions: Mapping[Label, str] | None = None,
    baselines: Mapping[str, Sequence[str]] | None = None,
    with_cards: bool = False,
) -> Analysis:
    """Compare scores by data set, model and what is varied besides them, as :func:`compare_groups` does."""
    labels = ("data", "model", *([factor] if factor else []))
    rows = compare_groups(runs.finished, labels, conditions=conditions, baselines=baselines)
    tables = (
        wide_table(rows, labels, name=study.NAME, title=study.TITLE),
        long_table(rows, labels, name=f"{study.NAME}-details", title=f"{study.TITLE}, in full"),
    )
    title = f"{study.TITLE}: test {metric_name(HEADLINE_METRIC)}"
    image = Image(study.NAME, title, "Mean over seeds and one deviation to each side.")
    columns = _card_columns(rows) if with_cards else ()
    return Analysis(tables, ((image, _figure(rows)),), findings_of(rows, HEADLINE_METRIC), columns)


def _figure(rows: Sequence[ScoreRow]) -> Figure:
    """Draw a panel per data set and model, and a series per strategy over what is varied."""
    panels: dict[tuple[Label, ...], dict[str, dict[str, tuple[float, float]]]] = {}
    for row in rows:
        if row.metric == HEADLINE_METRIC:
            place, category = row.group[:2], row.group[2]  # the category is the strategy where nothing is varied
            series = panels.setdefault(place, {}).setdefault(row.strategy, {})
            series[f"{category:g}" if isinstance(category, float) else str(category)] = spread(row.values)
    drawn = [BarPanel(" · ".join(map(str, place)), series) for place, series in panels.items()]
    return bars(drawn, y_label=f"test {metric_name(HEADLINE_METRIC)}")


def _card_columns(rows: Sequence[ScoreRow]) -> tuple[CardColumn, ...]:
    """Return the score of each strategy, and its gain over plain training."""
    scores, gains = [], []
    for row in (row for row in rows if row.metric == HEADLINE_METRIC):
        data, model, strategy = map(str, row.group)
        mean, deviation = spread(row.values)
        score = CardEntry(data, model, strategy, mean, deviation, runs=len(row.values))
        if score not in scores:  # a strategy has one row per baseline
            scores.append(score)
        if row.baseline == BASELINE and row.gain is not None:
            ahead = row.gain > 0 if row.gain else None
            gain = replace(score, value=row.gain, deviation=None, p=row.t_p, against=BASELINE, ahead=ahead)
            gains.append(gain)
    name = metric_name(HEADLINE_METRIC)
    return (
        CardColumn("score", f"Test {name}", tuple(scores), higher_is_better=True),
        CardColumn("gain", f"Gain over {BASELINE}", tuple(gains), f"in test {name}", "%", higher_is_better=True),
    )


def _ranges(runs: StudyRuns) -> list[str]:
    """Say how far apart the means are over the values of each setting, and how far apart seeds are."""
    groups: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    for run in runs.finished:
        name, _, value = str(run.label("setting")).partition(" ")
        place = (name, str(run.label("strategy")), str(run.label("data")), str(run.label("model")))
        groups.setdefault(place, {}).setdefault(value, []).append(run.result["test"][HEADLINE_METRIC])
    sentences = []
    for (name, strategy, data, model), by_value in groups.items():
        means = {value: fmean(scores) for value, scores in by_value.items()}
        low, high = min(means, key=lambda value: means[value]), max(means, key=lambda value: means[value])
        deviation = fmean(spread(scores)[1] for scores in by_value.values())
        sentences.append(
            f"{name} ({strategy}, {data}, {model}): {metric_name(HEADLINE_METRIC)} from {means[low]:.4f} at {low} "
            f"to {means[high]:.4f} at {high}, where seeds deviate by {deviation:.4f}."
        )
    return sentences
