"""What the gate measures on: simulated test frames, and test frames of datasets."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scatterlens_models.bundle import Bundle
from scatterlens_models.datasets.manifest import read_manifest
from scatterlens_models.datasets.members import of_split
from scatterlens_models.datasets.preparing import prepare_members
from scatterlens_models.evaluation.gate import Paired, Verdict, judge
from scatterlens_models.evaluation.pointing import pointing_game
from scatterlens_models.evaluation.predictions import Predictions, predict_part
from scatterlens_models.session import ModelSession

Report = Callable[[str, int, int], None]
"""Called with what is done, how many frames of it, and how many there are."""


class NoGateError(ValueError):
    """The gate cannot be run; the text says what it lacks."""


def run_gate(
    candidate: Bundle,
    production: Bundle,
    shards: Path | None,
    manifests: Sequence[Path] = (),
    blobs: Path | None = None,
    report: Report | None = None,
) -> Verdict:
    """Measure both models on the same frames and judge the candidate; needs onnxruntime.

    Args:
        candidate: bundle that would be promoted.
        production: bundle that is production.
        shards: folder of one part of a benchmark, such as bench-v1/test.
        manifests: datasets; their test frames count.
        blobs: folder of the blobs of a service, where members are blobs.
        report: told of progress.

    Raises:
        NoGateError: no frames are given, the two are one, or speak of different attributes.
        BrokenShardError, DatasetError: frames cannot be read.
    """
    if candidate.version == production.version:
        raise NoGateError(
            f"{candidate.name}@{candidate.version} is production itself, and no worse than itself:"
            " name another model"
        )
    ids = candidate.vocabulary.ids
    if ids != production.vocabulary.ids:
        raise NoGateError(
            f"{candidate.name} speaks of {candidate.vocabulary.name}, {production.name} of"
            f" {production.vocabulary.name}: models of different attributes cannot be compared"
        )
    if shards is None and not manifests:
        raise NoGateError(
            "there are no frames to measure on: set SCATTERLENS_GATE_SHARDS to a folder such as"
            " bench-v1/test, or SCATTERLENS_GATE_MANIFESTS to datasets"
        )
    sessions = ModelSession(candidate), ModelSession(production)
    measured = _measure(sessions, shards, manifests, blobs, report or (lambda *_: None))
    return judge(candidate.version, production.version, ids, measured)


def _measure(
    sessions: tuple[ModelSession, ModelSession],
    shards: Path | None,
    manifests: Sequence[Path],
    blobs: Path | None,
    report: Report,
) -> Iterator[Paired]:
    if shards is not None:
        yield _on_shards(sessions, shards, report)
    for path in manifests:
        yield _on_dataset(sessions, path, blobs, report)


def _on_shards(sessions: tuple[ModelSession, ModelSession], shards: Path, report: Report) -> Paired:
    def predict(session: ModelSession) -> tuple[Predictions, float]:
        found = predict_part(session, shards, lambda n, of: report(session.bundle.version, n, of))
        coverage = found.coverage.astype(np.float32)
        game = pointing_game(found.maps, found.evidence, found.labels, coverage)
        return found, float(np.nanmean(game.hits))

    (ours, our_hits), (theirs, their_hits) = map(predict, sessions)
    if ours.labels.shape[1] != ours.probabilities.shape[1]:
        raise NoGateError(f"{shards} is labelled by another vocabulary: name shards of this one")
    return Paired(
        f"{shards.resolve().parent.name}/{shards.name}",
        ours.labels,
        ours.experiments,
        ours.probabilities,
        theirs.probabilities,
        (our_hits, their_hits),
    )


def _on_dataset(
    sessions: tuple[ModelSession, ModelSession], path: Path, blobs: Path | None, report: Report
) -> Paired:
    manifest = read_manifest(path)
    members = of_split(manifest.frames, "test")
    if not members or manifest.vocabulary.ids != sessions[0].bundle.vocabulary.ids:
        raise NoGateError(
            f"{path} has no test frames labelled by {sessions[0].bundle.vocabulary.name}: split"
            " it, or leave it out"
        )
    probabilities = []
    for session in sessions:
        rows = []
        for prepared in prepare_members(members, session.bundle.preprocess, blobs):
            (prediction,) = session.predict(prepared[np.newaxis])
            rows.append(prediction.probabilities)
            report(session.bundle.version, len(rows), len(members))
        probabilities.append(np.stack(rows))
    return Paired(
        f"{path.stem}/test",
        np.array([member.labels for member in members], np.int8),
        np.array([member.experiment for member in members]),
        *probabilities,
    )
