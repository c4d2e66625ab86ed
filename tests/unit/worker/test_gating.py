"""`scatterlens gate`: two real bundles on real files, and what the registry makes of the report."""

import hashlib

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from scatterlens_models.bundle import Bundle
from scatterlens_models.datasets.manifest import write_manifest
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.vocabulary import load_vocabulary
from scatterlens_service import ledger, registry
from scatterlens_worker.gating import gate
from support.bundles import make_bundle
from support.detector_files import npy

app = typer.Typer()
app.command()(gate)


@pytest.fixture
def engine(settings):
    engine = ledger.open_engine(settings.database)
    registry.register_known(settings, engine)
    yield engine
    engine.dispose()


@pytest.fixture
def candidate(settings, engine, tmp_path) -> Bundle:
    bundle = make_bundle(tmp_path / "elsewhere", "linear", seed=1)
    registry.register(settings, engine, bundle.path, None, "ada")
    return bundle


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Eight frames, bright and dark in turn; the bright ones are said to have a ring."""
    members = []
    for number in range(8):
        counts = np.random.default_rng(number).poisson(2 + 40 * (number % 2), (64, 64))
        data = npy(counts.astype(np.int32))
        path = tmp_path / f"{number}.npy"
        path.write_bytes(data)
        labels = tuple([number % 2] * 20)
        digest = hashlib.sha256(data).hexdigest()
        where = f"place {number}"
        members.append(FrameMember(digest, path, labels, where, where, "ada", "test"))
    write_manifest(tmp_path / "bright.jsonl", load_vocabulary("aam20"), members)
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "linear")
    monkeypatch.setenv("SCATTERLENS_GATE_MANIFESTS", str(tmp_path / "bright.jsonl"))
    return tmp_path / "bright.jsonl"


def gate_of(engine, version: str):
    with ledger.reading(engine) as session:
        model = ledger.get_model(session, version)
    assert model is not None
    return model.gate


def test_what_the_gate_found_is_recorded_and_decides(settings, engine, candidate, dataset):
    production = registry.production_bundle(settings, engine)
    done = CliRunner().invoke(app, [candidate.version])
    report = gate_of(engine, candidate.version)
    assert report is not None, done.output
    assert (report["candidate"], report["against"]) == (candidate.version, production.version)
    assert done.exit_code == (0 if report["passed"] else 1)
    # Weights drawn at random: some attribute ranks bright frames the wrong way round.
    assert not report["passed"]
    verdict = registry.gate_verdict(report, production.version)
    assert verdict == registry.FAILED
    assert registry.gate_verdict(report, "0" * 12) == registry.NONE


def test_a_model_is_not_compared_with_itself(settings, engine, dataset):
    version = registry.production_bundle(settings, engine).version
    done = CliRunner().invoke(app, [version])
    assert (done.exit_code, "is production itself" in done.output) == (2, True)
    assert gate_of(engine, version) is None


def test_without_frames_nothing_is_measured_or_recorded(settings, engine, candidate, monkeypatch):
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "linear")
    done = CliRunner().invoke(app, [candidate.version])
    assert done.exit_code == 2
    assert gate_of(engine, candidate.version) is None
    unknown = CliRunner().invoke(app, ["0" * 12])
    assert unknown.exit_code == 2
