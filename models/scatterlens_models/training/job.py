"""One training run as a process of its own: `python -m scatterlens_models.training.job FOLDER`.

The folder's `job.json` says what to do and nothing else does. The process may be killed at any
moment and started again on the same folder: it ends with the same bundle. What was made is kept
there: the dataset, prepared frames until the end, checkpoints, the curve, the bundle.

Each line of standard output is a `Line`. The last one carries the result, or the reason why there
is none (exit code 1); a process that ends with neither crashed.
"""

import dataclasses
import fcntl
import logging
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from importlib.metadata import version
from pathlib import Path
from select import select

import numpy as np
import torch

from scatterlens.schemas import Beside, TrainingResult, TrainingStage
from scatterlens_models.bundle import Bundle, load_bundle
from scatterlens_models.datasets.checks import refuse_missing_positives
from scatterlens_models.datasets.corrections import collect_corrections
from scatterlens_models.datasets.errors import DatasetError, MixedVocabulariesError
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.datasets.loading import load_dataset
from scatterlens_models.datasets.manifest import Manifest, join, read_manifest, write_manifest
from scatterlens_models.datasets.members import Member, Split, of_split
from scatterlens_models.evaluation.calibration import FEWEST_LABELS
from scatterlens_models.evaluation.curve import Progress, read_curve
from scatterlens_models.evaluation.run_card import render_run_card
from scatterlens_models.metrics import mean_average_precision
from scatterlens_models.session import ModelSession
from scatterlens_models.training.asked import RecipeError, check_overrides, method_of
from scatterlens_models.training.export import export, record_metrics
from scatterlens_models.training.job_file import (
    BUNDLE_FOLDER,
    DATASET_FILE,
    PRETRAIN_FOLDER,
    RESULT_FILE,
    TRAIN_FOLDER,
    Job,
    JobFileError,
    Line,
    read_job,
)
from scatterlens_models.training.lent_calibration import lend_calibration
from scatterlens_models.training.loop import train
from scatterlens_models.training.recipe import Recipe, continued, fine_tuned, slim
from scatterlens_models.training.refusals import refusal_of
from scatterlens_models.training.run import FRAMES_FILE, learned_frames
from scatterlens_models.vocabulary import load_vocabulary

_CACHE = Path("cache")
_LOCK_SECONDS = 60.0
"""A process that lost its run ends itself sooner."""
_PREDICTED_AT_ONCE = 32
_SMALL_PRICE = 1 / 3
"""Of a step at half the side, beside one at the whole."""


class RunBusyError(RuntimeError):
    """Another process works in the folder of this run: end it, or wait for it."""


def run_job(folder: Path, say: Callable[[Line], None]) -> TrainingResult:
    """Do what the job of a folder asks, or go on where a killed process stopped.

    Args:
        folder: of the run, with `job.json`.
        say: called with each line.

    Raises:
        JobFileError: the job asks for what there is not.
        DatasetError: what it wants to learn from is refused.
        CheckpointError: weights are damaged or of another network.
        BundleError: the bundle to start from is damaged.
        RunBusyError: another process works on it.
    """
    # Paths in what is written are relative: the folder means the same on every machine.
    with chdir(folder), _locked(Path("lock")):
        if Path(RESULT_FILE).exists():
            return TrainingResult.model_validate_json(Path(RESULT_FILE).read_text(encoding="utf-8"))
        job = read_job(Path())
        torch.set_num_threads(job.threads)
        say(Line(stage="load"))
        manifest = _dataset(job)
        base = None if job.base is None else load_bundle(job.base)
        recipe = _recipe(job, manifest, base)
        learned = _learned(job, manifest, base)
        training = _load(job, manifest, recipe, "train", say)
        validation = _load(job, manifest, recipe, "validation", say)
        _check(job, manifest, recipe, training)
        recipe = _pretrain(job, manifest, recipe, training, validation, say)
        net = _train("train", recipe, training, validation, Path(TRAIN_FOLDER), job, say)
        (Path(TRAIN_FOLDER) / FRAMES_FILE).write_text(learned + "\n", encoding="utf-8")
        say(Line(stage="export"))
        thin = _thin(validation, manifest)
        kept = thin if base is not None else []
        provenance = _provenance(manifest, learned, len(validation.x), base, thin)
        made = export(
            net, recipe, validation, Path(BUNDLE_FOLDER), job.name, provenance, job.gradients
        )
        if base is not None and kept:
            made = lend_calibration(base, made, kept)
        mean_ap, beside = _last_mean_ap(), _beside(job, manifest, validation)
        figures = {
            "validation": {
                "frames": len(validation.x),
                "mean_ap": mean_ap,
                "production": None if beside is None else beside.model_dump(),
            }
        }
        card = render_run_card(made, len(validation.x), mean_ap, beside)
        made = record_metrics(Path(BUNDLE_FOLDER), figures, card)
        result = TrainingResult(
            name=made.name,
            version=made.version,
            dataset=manifest.id,
            mean_ap=mean_ap,
            validation_frames=len(validation.x),
            production=beside,
            kept_calibration=kept,
            uncalibrated=[] if kept else thin,
        )
        _write(Path(RESULT_FILE), result.model_dump_json(indent=1))
        shutil.rmtree(_CACHE, ignore_errors=True)
        return result


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        ends = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > ends:
                    raise RunBusyError(f"another process works in {path.resolve()}") from None
                time.sleep(0.1)
        yield


def _dataset(job: Job) -> Manifest:
    """The dataset of the run: written once, read ever after."""
    path = Path(DATASET_FILE)
    if path.exists():
        return read_manifest(path)
    parts = [read_manifest(one) for one in job.datasets]
    if len(parts) == 1 and job.corrections is None:
        return parts[0]
    if job.corrections is None and not parts:
        raise JobFileError("the job names nothing to learn from: give `datasets` or `corrections`")
    members: list[Member] = join(parts, job.weights) if parts else []
    vocabulary = parts[0].vocabulary if parts else None
    if job.corrections is not None:
        said = job.corrections
        if vocabulary is not None and vocabulary.name != said.vocabulary:
            raise MixedVocabulariesError(
                f"the labels are of {said.vocabulary}, the datasets of {vocabulary.name}: import"
                " the datasets again by one vocabulary"
            )
        vocabulary = load_vocabulary(said.vocabulary)
        if job.blobs is None:
            raise JobFileError("the frames of a service are blobs: name their folder by `blobs`")
        before = None if said.before is None else read_manifest(said.before)
        members += collect_corrections(
            said.labels, vocabulary, job.blobs, said.simulated, said.weight, before
        )
    assert vocabulary is not None
    # A manifest is never edited, so what a kill leaves must not lie under its name.
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    made = write_manifest(partial, vocabulary, members, "experiment")
    partial.rename(path)
    return made


def _recipe(job: Job, manifest: Manifest, base: Bundle | None) -> Recipe:
    """The recipe that is asked for; a network that goes on is trained as it was before."""
    try:
        method = method_of(job.recipe)
        check_overrides(job.overrides)
    except RecipeError as error:
        raise JobFileError(f"{error}") from error
    recipe = slim(method)
    if base is not None and base.method == method:
        recipe = Recipe(**base.content["recipe"])
    recipe = dataclasses.replace(recipe, vocabulary=manifest.vocabulary.name, start="")
    if job.start is not None:
        recipe = (continued if base is None else fine_tuned)(recipe, job.start)
    try:
        recipe = dataclasses.replace(recipe, **job.overrides)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError) as error:
        raise JobFileError(f"overrides: {error}: correct the value") from error
    return recipe


def _load(
    job: Job, manifest: Manifest, recipe: Recipe, split: Split, say: Callable[[Line], None]
) -> Examples:
    started = told = time.monotonic()

    def report(done: int, count: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > 1:
            told = now
            left = (now - started) / done * (count - done)
            say(Line(stage="load", share=done / count, eta_seconds=left))

    # Only what is learned from says where it is true; the others are asked what is there.
    asked = recipe.evidence_weight > 0 and split == "train"
    return load_dataset(
        manifest, recipe.input_size, split, _CACHE, job.blobs, job.shards, report, asked
    )


def _check(job: Job, manifest: Manifest, recipe: Recipe, training: Examples) -> None:
    refuse_missing_positives(training.labels.numpy(), manifest.vocabulary, "train", job.attributes)
    if len(training.x) < recipe.batch:
        raise DatasetError(
            f"{len(training.x)} frames do not fill a batch of {recipe.batch}: add frames, or set"
            " a smaller `batch`"
        )


def _pretrain(
    job: Job,
    manifest: Manifest,
    recipe: Recipe,
    training: Examples,
    watched: Examples,
    say: Callable[[Line], None],
) -> Recipe:
    """Learn from the simulated part first; gives the recipe of what follows."""
    if not job.pretrain_passes:
        return recipe
    real = len(of_split(manifest.frames, "train"))
    if len(training.x) - real < recipe.batch:
        raise DatasetError(
            f"{len(training.x) - real} simulated frames do not fill a batch of {recipe.batch}: add"
            " recipes, or leave `pretrain_passes` out"
        )
    weights = None if training.weights is None else training.weights[real:]
    evidence = None if training.evidence is None else training.evidence[real:]
    simulated = Examples(training.x[real:], training.labels[real:], weights, evidence)
    first = dataclasses.replace(recipe, passes=job.pretrain_passes)
    folder = Path(PRETRAIN_FOLDER)
    _train("pretrain", first, simulated, watched, folder, job, say)
    more = continued(recipe, folder / "checkpoint.safetensors")
    return dataclasses.replace(more, **job.overrides)  # pyright: ignore[reportArgumentType]


def _train(
    stage: TrainingStage,
    recipe: Recipe,
    training: Examples,
    watched: Examples,
    folder: Path,
    job: Job,
    say: Callable[[Line], None],
):
    begun: list[tuple[float, float]] = []
    mean_ap: float | None = None

    def report(progress: Progress) -> None:
        nonlocal mean_ap
        mean_ap = progress.mean_ap if progress.mean_ap is not None else mean_ap
        done, whole = (
            _work(progress.step, progress, recipe),
            _work(progress.steps, progress, recipe),
        )
        begun.append((time.monotonic(), done))
        (started, at), (now, _) = begun[0], begun[-1]
        rate = (done - at) / (now - started) if now > started and done > at else None
        del begun[1:]
        say(
            Line(
                stage=stage,
                share=done / whole,
                eta_seconds=None if rate is None else (whole - done) / rate,
                loss=progress.loss,
                mean_ap=mean_ap,
            )
        )

    say(Line(stage=stage))
    return train(recipe, training, watched, folder, evaluations=job.evaluations, report=report)


def _work(step: int, progress: Progress, recipe: Recipe) -> float:
    """Price of the first steps, in steps at the whole side."""
    small = progress.steps * recipe.small_share
    return min(step, small) * _SMALL_PRICE + max(step - small, 0)


def _learned(job: Job, manifest: Manifest, base: Bundle | None) -> str:
    real = len(of_split(manifest.frames, "train"))
    simulated = sum(recipe.count for recipe in of_split(manifest.recipes, "train"))
    learned = f"dataset {manifest.id[:12]}, {real} labelled and {simulated} simulated frames"
    if job.pretrain_passes:
        learned = f"{learned}, {job.pretrain_passes} passes of the simulated ones first"
    if base is not None:
        return f"{base.content['provenance'].get('training', base.version)}; then {learned}"
    if job.start is None:
        return learned
    try:
        return f"{learned_frames(job.start)}; then {learned}"
    except ValueError as error:
        raise JobFileError(f"{error}") from error


def _thin(validation: Examples, manifest: Manifest) -> list[str]:
    """Attributes that validation shows too seldom, or misses too seldom, to be calibrated by it."""
    labels = validation.labels.numpy()
    fewest = np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0))
    return [a for a, n in zip(manifest.vocabulary.ids, fewest, strict=True) if n < FEWEST_LABELS]


def _provenance(
    manifest: Manifest, learned: str, validated: int, base: Bundle | None, thin: list[str]
) -> dict[str, object]:
    real = of_split(manifest.frames, "train")
    return {
        "training": learned,
        "validation": f"dataset {manifest.id[:12]}, {validated} frames",
        "real_frames": f"{len(real)} labelled frames" if real else "none",
        "dataset": manifest.id,
        "start": None if base is None else f"{base.name}@{base.version}",
        "kept_calibration": thin if base is not None else [],
        "uncalibrated": [] if base is not None else thin,
        "scatterlens": version("scatterlens"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _beside(job: Job, manifest: Manifest, validation: Examples) -> Beside | None:
    """What production reaches on the frames that this run is watched on."""
    if job.production is None:
        return None
    bundle = load_bundle(job.production)
    if bundle.vocabulary.ids != manifest.vocabulary.ids:
        return None
    size, session = bundle.preprocess.size, ModelSession(bundle)
    frames = load_dataset(
        manifest, size, "validation", _CACHE, job.blobs, job.shards, lambda _done, _count: None
    )
    said = [
        prediction.probabilities
        for start in range(0, len(frames.x), _PREDICTED_AT_ONCE)
        for prediction in session.predict(
            frames.x[start : start + _PREDICTED_AT_ONCE].float().numpy()
        )
    ]
    reached = mean_average_precision(np.stack(said), validation.labels.numpy())
    return Beside(
        model=f"{bundle.name}@{bundle.version}",
        mean_ap=float(reached) if np.isfinite(reached) else None,
    )


def _last_mean_ap() -> float | None:
    points = [
        point.mean_ap for point in read_curve(Path(TRAIN_FOLDER)) if point.mean_ap is not None
    ]
    return points[-1] if points and np.isfinite(points[-1]) else None


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _end_when_alone(silence_seconds: float) -> None:
    """End this process when standard input is closed, or silent for so long."""
    while True:
        ready, _, _ = select([0], [], [], silence_seconds)
        if not ready or not os.read(0, 4096):
            os._exit(75)


def main(arguments: list[str]) -> int:
    """Run the job of a folder; `--alive SECONDS` ends it when standard input is silent so long."""
    match arguments:
        case [folder]:
            pass
        case [folder, "--alive", seconds]:
            watch = threading.Thread(target=_end_when_alone, args=(float(seconds),), daemon=True)
            watch.start()
        case _:
            sys.stderr.write("usage: python -m scatterlens_models.training.job FOLDER\n")
            return 2
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    out = sys.stdout

    def say(line: Line) -> None:
        out.write(line.model_dump_json(exclude_none=True) + "\n")
        out.flush()

    # Libraries that print must not break the lines.
    sys.stdout = sys.stderr
    try:
        result = run_job(Path(folder), say)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        say(Line(refusal=refusal))
        return 1
    say(Line(stage="export", share=1.0, mean_ap=result.mean_ap, result=result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
