"""Statistics of frames made by hand, the domain test against oracles, and the command."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from scatterlens_models.evaluation import domain_test as tests_of_domain
from scatterlens_models.evaluation import realism
from scatterlens_models.evaluation.domain_test import (
    RIDGE,
    Kind,
    TooFewFramesError,
    area_under_roc,
    domain_test,
    fold_models,
    real_kind,
    simulated_kind,
)
from scatterlens_models.evaluation.image_statistics import POWER_BANDS, POWER_FLOOR, statistics
from scatterlens_models.evaluation.realism import (
    Example,
    NoRealFramesError,
    bar_met,
    compare,
    find_real,
    in_turn,
    null_indices,
    quantiles,
    real_examples,
    side_by_side,
)
from scatterlens_models.preprocess import compress
from scatterlens_models.synthetic.commands import synth

SIDE = 256


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def frame(image, coverage=None):
    live = np.ones((SIDE, SIDE)) if coverage is None else coverage
    return np.stack([image * (live > 0), live]).astype(np.float32)


def sources_of(counts):
    return [f"s{k:02}" for k, count in enumerate(counts) for _ in range(count)]


def gaussian_kinds(rng, counts=(5, 8, 2, 3, 6, 2, 7, 1), frames=120, shift=0.0, alike=0.6):
    """Two kinds of standard normal statistics; frames of one source resemble one another."""
    sources = sources_of(counts)
    source = np.repeat(np.arange(len(counts)), counts)
    common = rng.standard_normal((len(counts), 18))[source]
    own = rng.standard_normal((len(source), 18))
    first = np.sqrt(alike) * common + np.sqrt(1 - alike) * own + shift * np.eye(18)[0]
    experiments = [str(i) for i in range(frames)]
    second = rng.standard_normal((frames, 18))
    return real_kind(first, sources), simulated_kind(second, experiments, len(counts))


# Statistics


def test_there_are_eighteen_statistics():
    assert len(statistics(frame(np.zeros((SIDE, SIDE))))) == 18


def test_a_blank_frame_has_known_statistics():
    found = statistics(frame(np.zeros((SIDE, SIDE))))
    assert found["zero_share"] == found["coverage"] == 1
    for name in ("median", "log_range", "spread", "skewness", "entropy", "gradient", "grain"):
        assert found[name] == 0
    assert found["power_16_64"] == pytest.approx(np.log10(POWER_FLOOR))


def test_only_live_pixels_count():
    coverage = np.zeros((SIDE, SIDE))
    coverage[:64] = 1
    image = np.full((SIDE, SIDE), 0.5)
    image[:16] = 0
    found = statistics(frame(image, coverage))
    assert found["coverage"] == 0.25
    assert found["zero_share"] == 0.25
    assert found["median"] == 0.5
    assert found["entropy"] == pytest.approx(-0.25 * np.log2(0.25) - 0.75 * np.log2(0.75))


def test_a_dead_frame_is_refused():
    with pytest.raises(ValueError, match="without live pixels"):
        statistics(frame(np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))))


def test_log_range_is_in_decades_of_counts():
    counts = np.full((SIDE, SIDE), 9.0)
    counts[:8] = 999.0
    assert statistics(frame(compress(counts)))["log_range"] == pytest.approx(2, abs=1e-4)


def test_white_noise_has_its_variance_in_every_band(rng):
    found = statistics(frame(0.5 + 0.01 * rng.standard_normal((SIDE, SIDE))))
    for low, high in POWER_BANDS[1:]:
        assert found[f"power_{low}_{high}"] == pytest.approx(-4, abs=0.05)
    assert found["spread"] == pytest.approx(0.01, rel=0.02)
    assert found["gradient"] == pytest.approx(0.01 * np.sqrt(2), rel=0.02)
    assert found["grain"] == pytest.approx(0.6745 * 0.01 * np.sqrt(1.5), rel=0.03)
    assert abs(found["skewness"]) < 0.05


def test_a_wave_has_its_power_in_its_band():
    wave = 0.5 + 0.1 * np.sin(2 * np.pi * 30 * np.arange(SIDE) / SIDE)
    found = statistics(frame(np.tile(wave, (SIDE, 1))))
    bands = [found[f"power_{low}_{high}"] for low, high in POWER_BANDS]
    assert np.argmax(bands) == 2
    assert bands[2] > max(bands[:2] + bands[3:]) + 3


def test_mirrors_and_peak_are_found():
    rows, cols = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    middle = statistics(frame(np.exp(-(rows**2 + cols**2) / 2000)))
    assert middle["mirror_left_right"] == pytest.approx(1)
    assert middle["mirror_up_down"] == pytest.approx(1)
    assert middle["peak_offset"] < 0.05
    slope = statistics(frame(0.5 + cols / 1000))
    assert slope["mirror_left_right"] == pytest.approx(-1)
    assert slope["mirror_up_down"] == pytest.approx(1)
    assert slope["peak_offset"] > 0.95
    assert abs(slope["skewness"]) < 1e-6


def test_each_source_counts_alike_in_quantiles():
    values = np.array([0.0] * 90 + [1.0, 2.0])[:, None]
    assert quantiles(values, ["many"] * 90 + ["a", "b"])[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "simulated", "met"),
    [
        ("zero_share", 0.05, True),
        ("zero_share", 0.21, False),
        ("zero_share", 0.04, False),
        ("log_range", 0.29, True),
        ("power_1_4", 0.31, False),
        ("median", 9.0, None),
    ],
)
def test_bars(name, simulated, met):
    assert bar_met(name, [0.01, 0.1, 0.3], [0.0, simulated, 1.0]) is met


# Domain test


def test_area_equals_scikit_learn_with_ties_and_weights(rng):
    for _ in range(20):
        higher, lower = np.round(rng.random(30), 1), np.round(rng.random(50) - 0.2, 1)
        weights = rng.random(80)
        expected = roc_auc_score(
            np.repeat([1, 0], [30, 50]), np.concatenate([higher, lower]), sample_weight=weights
        )
        assert area_under_roc(higher, lower, weights[:30], weights[30:]) == pytest.approx(expected)


def test_a_fold_is_ridge_regression_on_its_training_frames(rng):
    first, second = gaussian_kinds(rng, shift=0.5)
    units = int(first.unit.max()) + 1
    directions, middles = fold_models(first, second, np.ones(units), np.ones(units))
    kept = [kind.unit != 3 for kind in (first, second)]
    features = np.concatenate([first.features[kept[0]], second.features[kept[1]]])
    weights = np.concatenate(
        [
            1 / np.bincount(kind.unit)[kind.unit[k]]
            for kind, k in zip((first, second), kept, strict=True)
        ]
    )
    weights /= weights.sum()
    target = np.repeat([1.0, -1.0], [kept[0].sum(), kept[1].sum()])
    scaler = StandardScaler().fit(features, sample_weight=weights)
    oracle = Ridge(RIDGE).fit(scaler.transform(features), target, sample_weight=weights)
    scores = (second.features - middles[3]) @ directions[3]
    assert np.corrcoef(scores, oracle.predict(scaler.transform(second.features)))[
        0, 1
    ] == pytest.approx(1, abs=1e-9)


def test_the_model_of_a_fold_never_sees_what_it_holds_out(rng):
    first, second = gaussian_kinds(rng)
    units = int(first.unit.max()) + 1
    ones = np.ones(units)
    before = fold_models(first, second, ones, ones)
    changed = [
        replace(kind, features=kind.features + 7.0 * (kind.unit == 2)[:, None])
        for kind in (first, second)
    ]
    for kinds in ((changed[0], second), (first, changed[1])):
        after = fold_models(*kinds, ones, ones)
        for one, other in zip(before, after, strict=True):
            same = np.isclose(one, other).all(axis=1)
            assert same.tolist() == [k == 2 for k in range(units)]


def test_no_experiment_lies_in_two_units(rng):
    experiments = [str(i // 3) for i in range(60)]
    unit = simulated_kind(np.zeros((60, 1)), experiments, 7).unit
    assert set(unit.tolist()) == set(range(7))
    assert all(len(set(unit[3 * e : 3 * e + 3].tolist())) == 1 for e in range(20))


def test_too_few_experiments_are_refused():
    with pytest.raises(TooFewFramesError, match="at least"):
        simulated_kind(np.zeros((4, 1)), ["a", "a", "b", "c"], 4)


def test_the_null_is_centred_and_its_intervals_hold_one_half(rng, monkeypatch):
    monkeypatch.setattr(tests_of_domain, "RESAMPLES", 60)
    found = [domain_test(*gaussian_kinds(rng)) for _ in range(30)]
    assert np.mean([area for area, _ in found]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([low <= 0.5 <= high for _, (low, high) in found]) >= 0.9


def test_kinds_that_lie_apart_are_told_apart(rng):
    area, (low, high) = domain_test(*gaussian_kinds(rng, shift=4.0, alike=0.2))
    assert area > 0.95
    assert 0.85 < low < area < high <= 1


def test_a_frame_on_its_own_scale_changes_nothing(rng):
    first, second = gaussian_kinds(rng, shift=1.0)
    scale, offset = 10.0 ** rng.uniform(-3, 3, 18), rng.normal(0, 5, 18)
    scaled = (Kind(kind.features * scale + offset, kind.unit) for kind in (first, second))
    assert domain_test(*scaled)[0] == pytest.approx(domain_test(first, second)[0], abs=0.01)


# Frames, picture and command


def test_sources_are_taken_in_turn_and_shown_together():
    sources = ["a"] * 5 + ["b"] * 2 + ["c"]
    assert in_turn(sources, 5) == [0, 1, 5, 6, 7]
    assert in_turn(sources, 99) == list(range(8))


def test_the_null_mimics_sources_by_experiments():
    indices = null_indices(["a", "b", "b", "a", "b"], first=1000)
    assert indices == [1000, 1001, 1050, 1051, 1052]
    assert null_indices(["a"] * 60 + ["b"], first=0)[-1] == 100


def test_comparison_and_picture_of_frames_made_by_hand(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(tests_of_domain, "RESAMPLES", 10)

    def made(counts, level):
        return [
            Example(frame(level + 0.05 * rng.random((SIDE, SIDE))), source, source)
            for source in sources_of(counts)
        ]

    real, simulated, null = made((2, 1, 3), 0.6), made([1] * 9, 0.2), made((2, 1, 3), 0.2)
    found = compare(real, simulated, null)
    json.dumps(found)
    assert found["real"] == {"frames": 6, "sources": 3}
    assert found["statistics"]["median"]["real_larger"] == 1
    assert found["statistics"]["median"]["bar_met"] is None
    assert found["domain_test"]["real_against_simulated"]["auc"] == 1
    side_by_side(tmp_path / "new" / "picture.png", simulated, real, 6)
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(NoRealFramesError, match=r"it holds no INDEX\.csv"):
        find_real(tmp_path / "absent")
    picture = tmp_path / "out.png"
    done = CliRunner().invoke(synth, ["compare", str(tmp_path), "--out", str(picture)])
    assert done.exit_code == 2
    assert "no real frames in" in done.output
    assert not picture.exists()


def test_an_unknown_half_is_a_clear_error(real_data):
    with pytest.raises(NoRealFramesError, match="fewer than two sources in half C"):
        find_real(real_data, "C")


def test_halves_share_no_source(real_data):
    one, other = ({f.source for f in find_real(real_data, half)} for half in "AB")
    assert one
    assert other
    assert not one & other


def test_real_frames_are_prepared_as_the_service_does(real_data):
    with (real_data / "INDEX.csv").open(newline="") as stream:
        pictures = {row["file"] for row in csv.DictReader(stream) if row["format"] == "JPEG"}
    chosen = [f for f in find_real(real_data) if f.file in pictures or f.source == "lightform"]
    read = list(real_examples(real_data, chosen))
    assert [example is None for example in read] == [f.file in pictures for f in chosen]
    kept = [example for example in read if example is not None]
    assert kept
    for example in kept:
        assert example.prepared.shape == (2, SIDE, SIDE)
        assert statistics(example.prepared)["coverage"] > 0.9


def test_the_command_says_and_writes_everything(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(tests_of_domain, "RESAMPLES", 10)
    few = [f for f in find_real(real_data) if f.source in ("tomekste5", "micpoly")]
    monkeypatch.setattr(realism, "find_real", lambda *_: few)
    arguments = ["--out", str(tmp_path / "a.png"), "--json", str(tmp_path / "a.json")]
    arguments += ["--frames", "4"]
    done = CliRunner().invoke(synth, ["compare", str(real_data), *arguments])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["simulated"] == {"frames": 4, "experiments": 4}
    assert set(found["domain_test"]) == {"real_against_simulated", "simulated_against_simulated"}
    assert "zero_share" in done.output
    assert (tmp_path / "a.png").exists()
