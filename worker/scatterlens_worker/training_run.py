"""From what was asked for to the folder of a run: labels as they stand now, weights, `job.json`."""

import os
import shutil
from pathlib import Path

from sqlalchemy import Engine

from scatterlens.training_schemas import TrainingRequest
from scatterlens_models.bundle import Bundle, BundleError, find_bundle, load_bundle
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
from scatterlens_service import ledger
from scatterlens_service.bundles import active_bundles, known_names
from scatterlens_service.ledger import Verdict
from scatterlens_service.settings import Settings
from scatterlens_service.wire import to_exported_label

WEIGHTS_FILE = "weights.safetensors"
"""In a bundle that may be gone on from."""
_LABELS_FILE = "labels.ndjson"
_START_FOLDER = "start"
_BASE_FOLDER = "base"
_PAGE = 500


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
    production = active_bundles(settings)[0]
    vocabulary = load_vocabulary(request.vocabulary or production.vocabulary.name)
    folder.mkdir(parents=True, exist_ok=True)
    _export_labels(engine, vocabulary, folder / _LABELS_FILE)
    base, weights = _find_start(settings, request, production)
    # Copied: a bundle may be replaced and a folder cleared while the run is going on.
    for path in weights:
        (folder / _START_FOLDER).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / _START_FOLDER / path.name)
    if base is not None:
        shutil.rmtree(folder / _BASE_FOLDER, ignore_errors=True)
        shutil.copytree(
            base.path, folder / _BASE_FOLDER, ignore=shutil.ignore_patterns(WEIGHTS_FILE)
        )
    job = Job(
        recipe=request.recipe,
        overrides={**request.overrides, "passes": request.passes, "seed": request.seed},
        name=request.name or request.recipe,
        corrections=Corrections(
            labels=Path(_LABELS_FILE),
            vocabulary=vocabulary.name,
            weight=request.weight,
            simulated=request.simulated,
            before=_dataset_before(settings, engine, vocabulary, folder),
        ),
        blobs=_seen_from(folder, settings.blob_folder),
        start=Path(_START_FOLDER, weights[0].name) if weights else None,
        base=None if base is None else Path(_BASE_FOLDER),
        pretrain_passes=request.pretrain_passes,
        attributes=None if request.attributes is None else tuple(request.attributes),
        evaluations=request.evaluations,
        gradients=request.gradients,
    )
    write_job(folder, job)
    return folder


def _export_labels(engine: Engine, vocabulary: Vocabulary, path: Path) -> None:
    """All labels of a vocabulary as they stand; those of other vocabularies are for other runs."""
    written = 0
    with path.open("w", encoding="utf-8") as stream, ledger.reading(engine) as session:
        after = 0
        while True:
            rows = ledger.export_labels(session, after=after, limit=_PAGE)
            frames = ledger.get_frames(session, {row.frame_id for row in rows}, production="")
            for row in rows:
                if row.attribute in vocabulary.ids:
                    label = to_exported_label(row, frames[row.frame_id])
                    written += stream.write(label.model_dump_json() + "\n")
            if len(rows) < _PAGE:
                break
            after = rows[-1].id
    if not written:
        raise StartError(
            f"nobody has labelled a frame by {vocabulary.name}: label some first"
            " (`client.label(...)`)"
        )


def _find_start(
    settings: Settings, request: TrainingRequest, production: Bundle
) -> tuple[Bundle | None, list[Path]]:
    """The bundle to go on from, where it is one; the weights, and what says more of them."""
    if request.start == "nothing":
        return None, []
    if request.start == "auto":
        weights = production.path / WEIGHTS_FILE
        fits = production.method == request.recipe.removeprefix("slim-")
        return (production, [weights]) if fits and weights.exists() else (None, [])
    if request.start.startswith("run-"):
        folder = settings.run_folder / request.start
        if not (folder / RESULT_FILE).exists():
            raise StartError(
                f"the run {request.start} has not come to its end: start from another, or from"
                " nothing"
            )
        return None, [folder / TRAIN_FOLDER / name for name in START_FILES]
    bundle = _find_bundle(settings, request.start)
    weights = bundle.path / WEIGHTS_FILE
    if not weights.exists():
        raise StartError(
            f"the bundle {bundle.name} {bundle.version} holds no weights to go on from: choose"
            " another, or start from nothing"
        )
    return bundle, [weights]


def _find_bundle(settings: Settings, model: str) -> Bundle:
    for name in known_names(settings):
        bundle = load_bundle(find_bundle(name, settings.home))
        if model in (bundle.name, bundle.version, f"{bundle.name}@{bundle.version}"):
            return bundle
    raise BundleError(f"no bundle {model!r}; there are {', '.join(known_names(settings))}")


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


def refusal(error: Exception) -> Verdict:
    """Verdict on a run that cannot begin."""
    return Verdict(
        "bad_start",
        "The run cannot begin",
        f"{error}",
        "Ask for another run, with what the detail names.",
    )
