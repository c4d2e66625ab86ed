"""From what was asked for to the folder of a run: labels as they stand now, weights, `job.json`."""

import os
import shutil
from pathlib import Path

from sqlalchemy import Engine

from scatterlens.schemas import Reason, TrainingRequest
from scatterlens_models.bundle import Bundle, BundleError
from scatterlens_models.training.job_file import (
    DATASET_FILE,
    JOB_FILE,
    RESULT_FILE,
    START_FILES,
    TRAIN_FOLDER,
    Corrections,
    Job,
    write_job,
)
from scatterlens_models.vocabulary import Vocabulary, load_vocabulary
from scatterlens_service import ledger, registry
from scatterlens_service.registry.bundles import load_version
from scatterlens_service.settings import Settings

WEIGHTS_FILE = "weights.safetensors"
"""In a bundle that may be gone on from."""
_LABELS_FILE = "labels.ndjson"
_START_FOLDER = "start"
_BASE_FOLDER = "base"
_PRODUCTION_FOLDER = "production"
_PASSES, _PASSES_FROM_MODEL = 60_000, 3_000


class StartError(LookupError):
    """There are no labels to learn from, or no weights to go on from; the message says what to
    do."""


def prepare_run(settings: Settings, engine: Engine, leased: ledger.LeasedRun) -> Path:
    """Fill the folder of a run, where that was not done before; gives the folder.

    A run that goes on learns from the labels that it began with.

    Raises:
        StartError: no labels, or no weights to go on from.
        BundleError: a bundle is damaged.
        UnknownVocabularyError: no such vocabulary.
    """
    folder = settings.run_folder / leased.run_id
    if (folder / JOB_FILE).exists():
        return folder
    request = TrainingRequest.model_validate(leased.description)
    production = registry.production_bundle(settings, engine)
    vocabulary = load_vocabulary(request.vocabulary or production.vocabulary.name)
    folder.mkdir(parents=True, exist_ok=True)
    _export_labels(engine, vocabulary, folder / _LABELS_FILE)
    recipe = request.recipe or f"slim-{production.method}"
    base, run = _find_start(settings, engine, request.start, recipe, production)
    passes = request.passes or (_PASSES if base is None else _PASSES_FROM_MODEL)
    start = None
    # Copied: a bundle may be replaced and a folder cleared while the run is going on.
    if base is not None:
        shutil.rmtree(folder / _BASE_FOLDER, ignore_errors=True)
        shutil.copytree(base.path, folder / _BASE_FOLDER)
        start = Path(_BASE_FOLDER, WEIGHTS_FILE)
    if run is not None:
        (folder / _START_FOLDER).mkdir(exist_ok=True)
        for name in START_FILES:
            shutil.copyfile(run / TRAIN_FOLDER / name, folder / _START_FOLDER / name)
        start = Path(_START_FOLDER, START_FILES[0])
    shutil.rmtree(folder / _PRODUCTION_FOLDER, ignore_errors=True)
    shutil.copytree(production.path, folder / _PRODUCTION_FOLDER)
    job = Job(
        recipe=recipe,
        overrides={**request.overrides, "passes": passes, "seed": request.seed},
        name=request.name or recipe,
        corrections=Corrections(
            labels=Path(_LABELS_FILE),
            vocabulary=vocabulary.name,
            weight=request.weight,
            simulated=request.simulated,
            before=_dataset_before(settings, engine, vocabulary, folder),
        ),
        blobs=_seen_from(folder, settings.blob_folder),
        start=start,
        base=None if base is None else Path(_BASE_FOLDER),
        production=Path(_PRODUCTION_FOLDER),
        pretrain_passes=request.pretrain_passes,
        attributes=None if request.attributes is None else tuple(request.attributes),
        evaluations=request.evaluations,
        gradients=request.gradients,
    )
    write_job(folder, job)
    return folder


def _export_labels(engine: Engine, vocabulary: Vocabulary, path: Path) -> None:
    """All labels of a vocabulary as they stand; those of other vocabularies are for other runs."""
    written, after = 0, 0
    with path.open("w", encoding="utf-8") as stream, ledger.reading(engine) as session:
        while after is not None:
            labels, after = ledger.export_page(session, after=after)
            for label in labels:
                if label.attribute in vocabulary.ids:
                    written += stream.write(label.model_dump_json() + "\n")
    if not written:
        raise StartError(
            f"nobody has labelled a frame by {vocabulary.name}: label some first"
            " (`client.label(...)`)"
        )


def _find_start(
    settings: Settings, engine: Engine, wanted: str, recipe: str, production: Bundle
) -> tuple[Bundle | None, Path | None]:
    """What to go on from: a bundle, or the folder of a run, or neither."""
    if wanted == "nothing":
        return None, None
    if wanted == "auto":
        fits = production.method == recipe.removeprefix("slim-")
        return (production if fits and _has_weights(production) else None), None
    if wanted.startswith("run-"):
        folder = settings.run_folder / wanted
        if not (folder / RESULT_FILE).exists():
            raise StartError(
                f"the run {wanted} has not come to its end: start from another, or from nothing"
            )
        return None, folder
    bundle = _find_bundle(settings, engine, wanted)
    if not _has_weights(bundle):
        raise StartError(
            f"the bundle {bundle.name} {bundle.version} holds no weights to go on from: choose"
            " another, or start from nothing"
        )
    return bundle, None


def _has_weights(bundle: Bundle) -> bool:
    return (bundle.path / WEIGHTS_FILE).exists()


def _find_bundle(settings: Settings, engine: Engine, model: str) -> Bundle:
    with ledger.reading(engine) as session:
        known = ledger.list_models(session)
    for row in known:
        name, version = row.ref.name, row.ref.version
        if model in (name, version, f"{name}@{version}"):
            return load_version(settings, version)
    names = ", ".join(f"{row.ref.name}@{row.ref.version}" for row in known)
    raise BundleError(f"no model {model!r} is registered; there are {names}")


def _dataset_before(
    settings: Settings, engine: Engine, vocabulary: Vocabulary, folder: Path
) -> Path | None:
    """Dataset of the newest run that came to its end, whose frames keep their splits."""
    with ledger.reading(engine) as session:
        runs = ledger.list_runs(session)
    for run in runs:
        path = settings.run_folder / run.id / DATASET_FILE
        if run.result is not None and path.exists():
            same = run.description.get("vocabulary") in (None, vocabulary.name)
            return _seen_from(folder, path) if same else None
    return None


def _seen_from(folder: Path, path: Path) -> Path:
    """The same home folder may lie elsewhere on the machine where a run goes on."""
    return Path(os.path.relpath(path, folder))


def refusal(error: Exception) -> Reason:
    """Verdict on a run that cannot begin."""
    return Reason(
        type="bad_start",
        title="The run cannot begin",
        detail=f"{error}",
        remedy="Ask for another run, with what the detail names.",
    )
