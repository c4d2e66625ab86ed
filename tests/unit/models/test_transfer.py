"""New heads on a frozen network: scikit-learn and numerical derivatives say what is right."""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
import typer
from click.testing import Result
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from typer.testing import CliRunner

from scatterlens_models.bundle import find_bundle, load_bundle
from scatterlens_models.datasets.importing.tables import read_csv
from scatterlens_models.datasets.preparing import prepare_members
from scatterlens_models.local import LocalAnnotator
from scatterlens_models.preprocess import PreprocessSpec
from scatterlens_models.session import ModelSession
from scatterlens_models.training.commands import transfer as command
from scatterlens_models.training.head_choice import compare
from scatterlens_models.training.head_graph import BaseGraphError, last_map
from scatterlens_models.training.heads import (
    LOGISTIC_C,
    KeptHead,
    LogisticHead,
    SvmHead,
    choose_c_and_gamma,
    fit_head,
)
from scatterlens_models.training.transfer import TransferError, transfer
from scatterlens_models.vocabulary import load_vocabulary
from support.bundles import make_bundle

RING, HALO, SPOTTED, TEXTURED = 4, 2, 12, 13
FRAMES = 60


def learnable(features: int, frames: int = FRAMES, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Standardised features, and labels that two of them decide with some noise."""
    rng = np.random.default_rng(seed)
    z = StandardScaler().fit_transform(rng.normal(size=(frames, features)))
    score = z[:, 0] ** 2 + z[:, 1] + rng.normal(0, 0.4, frames)
    return z, (score > np.median(score)).astype(np.int8)


@pytest.fixture(scope="module")
def labelled() -> tuple[np.ndarray, np.ndarray]:
    """Frames 64 x 64, brighter at the top where RING is present and dimmer where HALO is."""
    rng = np.random.default_rng(1)
    frames = rng.random((FRAMES, 2, 64, 64), np.float32)
    labels = np.full((FRAMES, 20), -1, np.int8)
    labels[:, RING] = np.arange(FRAMES) % 2
    labels[:, HALO] = np.arange(FRAMES) % 3 == 0
    labels[:6, SPOTTED] = [1, 1, 0, 0, 0, 1]
    labels[:4, TEXTURED] = [1, 0, 0, 0]
    frames[labels[:, RING] == 1, 0, :32] += 0.5
    frames[labels[:, HALO] == 1, 1] *= 0.8
    frames[labels[:, SPOTTED] == 1, 0] += 0.2
    return frames, labels


@pytest.fixture(scope="module")
def adapted(labelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    base = make_bundle(folder, attention=("first", "second"), gradients=True)
    ids = [f"{i:064x}" for i in range(FRAMES)]
    return base, transfer(base, *labelled, ids, folder / "adapted", "adapted", always=True)


def outputs(bundle, frames):
    predictions = ModelSession(bundle).predict(frames)
    return (
        np.stack([p.probabilities for p in predictions]),
        np.stack([p.attribute_maps for p in predictions]),
        np.stack([p.features for p in predictions]),
    )


def test_c_and_gamma_are_those_that_scikit_learn_finds():
    z, labels = learnable(8)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(z, labels))
    grid = {
        "C": [2.0**p for p in range(-3, 10, 2)],
        "gamma": sorted(2.0**p / 8 for p in range(-4, 5, 2)),
    }
    search = GridSearchCV(SVC(), grid, scoring="average_precision", cv=folds).fit(z, labels)
    c, gamma, precision = choose_c_and_gamma(z, labels == 1, folds)
    assert (c, gamma) == pytest.approx((search.best_params_["C"], search.best_params_["gamma"]))
    assert precision == pytest.approx(search.best_score_, abs=1e-9)
    assert precision > 0.7


def test_of_equally_good_machines_one_is_chosen_whose_folds_agree():
    """A small C ranks every fold perfectly, but moves each fold's values by another offset."""
    z, _ = learnable(4, 24)
    positive = np.arange(24) % 2 == 1
    z[positive, 0] += 6
    z = StandardScaler().fit_transform(z)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(z, positive))
    c, gamma, precision = choose_c_and_gamma(z, positive, folds)
    assert precision == 1
    values = cross_val_predict(
        SVC(C=c, gamma=gamma), z, positive, cv=folds, method="decision_function"
    )
    assert average_precision_score(positive, values) == 1
    smooth = SVC(C=2.0**-3, gamma=2.0**-4 / 4)
    assert cross_val_score(smooth, z, positive, cv=folds, scoring="average_precision").min() == 1
    offset = cross_val_predict(smooth, z, positive, cv=folds, method="decision_function")
    assert average_precision_score(positive, offset) < 1


def test_probabilities_are_calibrated_on_frames_that_each_fold_held_out():
    z, labels = learnable(8)
    head = fit_head(z, labels)
    assert isinstance(head, SvmHead)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(z, labels))
    alone = SVC(C=head.svc.C, gamma=head.gamma)
    oracle = CalibratedClassifierCV(alone, method="sigmoid", ensemble=False, cv=folds)
    expected = oracle.fit(z, labels).predict_proba(z)[:, 1]
    np.testing.assert_allclose(head.probability(z), expected, rtol=1e-9)
    by_hand = 1 / (
        1 + np.exp(-head.slope * alone.fit(z, labels).decision_function(z) - head.offset)
    )
    np.testing.assert_allclose(head.probability(z), by_hand, rtol=1e-9)


def test_unknown_labels_teach_nothing():
    z, labels = learnable(8)
    labels[40:] = -1
    some, fewer = fit_head(z, labels), fit_head(z[:40], labels[:40])
    np.testing.assert_allclose(some.decide(z), fewer.decide(z), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("present", "absent", "kind"),
    [
        (5, 30, SvmHead),
        (30, 5, SvmHead),
        (4, 31, LogisticHead),
        (30, 2, LogisticHead),
        (1, 30, KeptHead),
        (0, 30, KeptHead),
        (30, 1, KeptHead),
        (0, 0, KeptHead),
    ],
)
def test_the_number_of_labels_chooses_the_head(present, absent, kind):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 6))
    labels = np.full(40, -1, np.int8)
    labels[:present], labels[present : present + absent] = 1, 0
    z[labels == 1] += 2
    head = fit_head(z, labels)
    assert isinstance(head, kind)
    if kind is KeptHead:
        assert (
            head.reason == f"{present} present and {absent} absent: at least 2 of each are needed"
        )


def test_a_machine_that_ranks_held_out_frames_backwards_is_not_used():
    # Every frame but one has a twin with the other label: what is near says the opposite.
    rng = np.random.default_rng(2)
    half = rng.normal(size=(12, 3))
    z = np.repeat(half, 2, axis=0) + rng.normal(0, 1e-3, (24, 3))
    head = fit_head(z, np.tile([0, 1], 12).astype(np.int8))
    assert isinstance(head, KeptHead)
    assert "does not rise with the label" in head.reason


def test_a_logistic_head_is_scikit_learns():
    z, labels = learnable(8)
    labels[4:-4] = -1
    labels[:4], labels[-4:] = [1, 1, 0, 0], 0
    head = fit_head(z, labels)
    known = labels >= 0
    oracle = LogisticRegression(C=LOGISTIC_C).fit(z[known], labels[known])
    np.testing.assert_allclose(head.probability(z), oracle.predict_proba(z)[:, 1], rtol=1e-12)


def test_an_adapted_bundle_is_served_and_says_which_head_is_which(adapted):
    base, bundle = adapted
    heads = {entry["attribute"]: entry for entry in load_bundle(bundle.path).content["heads"]}
    assert list(heads) == list(bundle.vocabulary.ids)
    assert {name: entry["head"] for name, entry in heads.items() if entry["head"] != "base"} == {
        "ring": "svm",
        "halo": "svm",
        "spotted": "logistic",
    }
    assert heads["ring"]["present"] == 30
    assert heads["textured"]["reason"].startswith("1 present and 3 absent")
    assert bundle.content["provenance"]["base"]["version"] == base.version
    assert bundle.content["provenance"]["frames"][1] == f"{1:064x}"
    assert "60 labelled frames" in bundle.content["provenance"]["real_frames"]
    assert not bundle.additive
    assert bundle.gradient_maps == ()
    assert {p.name for p in bundle.path.iterdir()} == {"bundle.json", "model.onnx", "novelty.npz"}


def test_what_was_not_learned_stays_as_it_was(adapted, labelled):
    base, bundle = adapted
    before, after = outputs(base, labelled[0][:5]), outputs(bundle, labelled[0][:5])
    kept = [a for a in range(20) if a not in (RING, HALO, SPOTTED)]
    for old, new in zip(before[:2], after[:2], strict=True):
        # Two sessions: the last bits may differ.
        np.testing.assert_allclose(new[:, kept], old[:, kept], rtol=1e-5, atol=1e-6)
        assert not np.allclose(new[:, RING], old[:, RING])
    np.testing.assert_allclose(after[2], before[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bundle.thresholds[kept], base.thresholds[kept])
    attention = [ModelSession(b).predict(labelled[0][:1])[0].attention_maps for b in adapted]
    np.testing.assert_allclose(*attention, rtol=1e-5, atol=1e-6)


def test_a_served_probability_is_that_of_scikit_learn(adapted, labelled):
    _, bundle = adapted
    frames, labels = labelled
    probabilities, _, features = outputs(bundle, frames)
    z = StandardScaler().fit_transform(features.astype(np.float64))
    for attribute in (RING, HALO, SPOTTED):
        head = fit_head(z, labels[:, attribute])
        np.testing.assert_allclose(
            probabilities[:, attribute], head.probability(z), rtol=1e-4, atol=1e-5
        )
    assert average_precision_score(labels[:, RING], probabilities[:, RING]) == 1


@pytest.mark.parametrize("attribute", [RING, HALO, SPOTTED])
def test_a_map_is_the_derivative_of_the_decision_value(adapted, labelled, attribute):
    """Cells brightened one by one change the decision by what the map holds of them."""
    _, bundle = adapted
    frames, labels = labelled
    _, maps, features = outputs(bundle, frames)
    scaler = StandardScaler().fit(features.astype(np.float64))
    head = fit_head(scaler.transform(features.astype(np.float64)), labels[:, attribute])
    model = onnx.load(bundle.path / "model.onnx")
    model.graph.output.append(onnx.ValueInfoProto(name=last_map(model)))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (cells,) = session.run([last_map(model)], {"frames": frames[7:8]})
    cells = np.asarray(cells)[0].astype(np.float64)  # (D, h, w)

    def decide(grid: np.ndarray) -> float:
        return float(head.decide(scaler.transform(grid.mean(axis=(1, 2))[None]))[0])

    step = 1e-2
    for row, column in ((0, 0), (3, 11), (15, 15)):
        more, less = cells.copy(), cells.copy()
        more[:, row, column] *= 1 + step
        less[:, row, column] *= 1 - step
        slope = (decide(more) - decide(less)) / (2 * step)
        assert maps[7, attribute, row, column] == pytest.approx(slope, rel=1e-3)


def test_the_shipped_bundle_learns_from_frames_it_never_saw(tmp_path):
    base = load_bundle(find_bundle("slim-aam"))
    rng = np.random.default_rng(5)
    frames = rng.random((24, 2, 128, 128), np.float32) * np.float32(0.1)
    labels = np.full((24, 20), -1, np.int8)
    labels[:, RING] = np.arange(24) % 2
    frames[labels[:, RING] == 1, 0, 40:60, 40:90] += 0.4
    # The other way round: a dark frame is what these labels call a ring, which no network guesses.
    labels[:, RING] = 1 - labels[:, RING]
    ids = [str(i) for i in range(24)]
    bundle = transfer(base, frames, labels, ids, tmp_path / "new", "new")
    fresh = rng.random((4, 2, 128, 128), np.float32) * np.float32(0.1)
    fresh[2:, 0, 40:60, 40:90] += 0.4
    probabilities, maps, _ = outputs(bundle, fresh)
    assert probabilities[:2, RING].min() > 0.5 > probabilities[2:, RING].max()
    assert maps.shape == (4, 20, 16, 16)
    # A second beamline may start from what the first has learned.
    turned = np.where(labels < 0, labels, 1 - labels)
    again = transfer(bundle, frames, turned, ids, tmp_path / "again", "again")
    assert outputs(again, fresh)[0][2:, RING].min() > 0.5


def test_linear_heads_alone_keep_maps_that_sum_to_the_logit(tmp_path, labelled):
    frames, labels = labelled
    few = np.full_like(labels, -1)
    few[:, SPOTTED] = labels[:, SPOTTED]
    base = make_bundle(tmp_path)
    folder = tmp_path / "adapted"
    bundle = transfer(base, frames, few, ["id"] * FRAMES, folder, "adapted", always=True)
    assert bundle.additive
    probabilities, maps, _ = outputs(bundle, frames[:5])
    logits = maps.sum(axis=(2, 3)) + bundle.bias
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_labels_that_teach_nothing_are_refused_and_nothing_is_left(tmp_path, labelled):
    frames, labels = labelled
    base = make_bundle(tmp_path)
    none = np.zeros_like(labels)
    with pytest.raises(TransferError, match="ring: 0 present and 60 absent"):
        transfer(base, frames, none, ["id"] * FRAMES, tmp_path / "new", "new")
    with pytest.raises(TransferError, match="need labels of that many rows"):
        transfer(base, frames, labels[:5], ["id"] * FRAMES, tmp_path / "new", "new")
    assert [p.name for p in tmp_path.iterdir()] == [base.name]


def test_a_new_head_must_win_on_nearly_all_draws_of_the_frames():
    rng = np.random.default_rng(0)
    positive = np.arange(80) % 4 == 0
    good, poor = positive + rng.normal(0, 0.3, 80), positive + rng.normal(0, 3, 80)
    found = compare(poor, good, positive, rng)
    assert found.own == pytest.approx(average_precision_score(positive, poor))
    assert found.new == pytest.approx(average_precision_score(positive, good))
    assert found.wins > 0.99
    assert compare(good, poor, positive, rng).wins < 0.01
    assert compare(good, good, positive, rng).wins == 0
    few = slice(0, 8)
    slightly = good[few] + np.array([0, 0, 0, 0, 0.1, 0, 0, 0])
    assert compare(good[few], slightly, positive[few], rng).wins < 0.95


def test_a_head_that_is_not_surely_better_than_the_own_one_is_not_used(tmp_path, labelled):
    frames, labels = labelled
    base = make_bundle(tmp_path)
    bundle = transfer(base, frames, labels, ["id"] * FRAMES, tmp_path / "new", "new")
    said = bundle.content["heads"]
    assert said[RING]["head"] == "svm"
    assert said[RING]["held_out_ap"] > 0.9
    assert said[SPOTTED]["head"] == "base"
    assert "draws" in said[SPOTTED]["reason"]
    few = np.where(np.arange(20) == SPOTTED, labels, -1)
    with pytest.raises(TransferError, match="stay with it"):
        transfer(base, frames, few, ["id"] * FRAMES, tmp_path / "few", "few")


def test_what_a_head_reaches_is_measured_on_frames_that_it_did_not_see():
    rng = np.random.default_rng(8)
    z = rng.normal(size=(12, 60))
    labels = (np.arange(12) % 4 == 0).astype(np.int8)
    head = fit_head(z, labels)
    assert isinstance(head, LogisticHead)
    assert average_precision_score(labels, head.decide(z)) == 1
    assert average_precision_score(labels, head.held_out) < 0.7


def test_a_network_whose_features_are_no_mean_of_cells_is_refused(tmp_path, labelled):
    base = make_bundle(tmp_path)
    model = onnx.load(base.path / "model.onnx")
    (pooled,) = (node for node in model.graph.node if "features" in node.output)
    pooled.op_type = "ReduceMax"
    with pytest.raises(BaseGraphError, match="come from ReduceMax"):
        last_map(model)


# The table of labels, and the command


@pytest.fixture
def beamline(tmp_path):
    """A folder of 24 detector files, a table that labels them, and a bundle to start from."""
    rng = np.random.default_rng(4)
    frames, lines = tmp_path / "frames", ["file,ring,halo"]
    frames.mkdir()
    for i in range(24):
        counts = rng.poisson(20, (90, 120)).astype(np.int32)
        counts[: 45 * (i % 2)] += 200
        np.save(frames / f"{i:02d}.npy", counts)
        lines.append(f"{i:02d}.npy,{i % 2},")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table, frames, make_bundle(tmp_path, "base")


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_adapts_a_bundle(beamline, tmp_path):
    table, frames, base = beamline
    out = tmp_path / "mine"
    ended = run(base.path, "--labels", table, "--frames", frames, "--bundle", out)
    assert ended.exit_code == 0, ended.output
    bundle = load_bundle(out)
    assert bundle.name == "mine"
    assert f"bundle mine {bundle.version}" in ended.output
    entry = bundle.content["heads"][RING]
    assert (entry["head"], entry["present"], entry["absent"]) == ("svm", 12, 12)
    digest = hashlib.sha256((frames / "00.npy").read_bytes()).hexdigest()
    assert bundle.content["provenance"]["frames"][0] == digest
    with LocalAnnotator(str(out)) as annotator:
        p = [
            annotator.annotate(frames / f"{i:02d}.npy")[0].found.probabilities[RING]
            for i in range(24)
        ]
    assert min(p[1::2]) > max(p[::2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,ring\n00.npy,1\n", "'name' is no attribute of aam20"),
        ("ring\n1\n", "names no file"),
        ("", "no labelled frame was found"),
        ("file,rnig\n00.npy,1\n", "'rnig' is no attribute of aam20, which has diffuse_low_q"),
        ("file,ring\n00.npy,yes\n", "'yes' is no label; write present, absent or unsure"),
        ("file,ring\n00.npy,1\n00.npy,0\n", "the same frame, judged twice by one author"),
        ("file,ring,ring\n00.npy,1,0\n", "has the column 'ring' twice"),
        ("file,ring\n,1\n", "row 2 of labels.csv names no file"),
        ("file,frame,ring\n00.npy,-1,1\n", "holds one image, there is no -1"),
        ("file,ring\n00.npy,0\n01.npy,\n", "label more frames"),
        ("file,ring\n00.npy,1,0\n", "row 2 of labels.csv has more or fewer cells"),
        ("file,ring\ngone.npy,1\n", "gone.npy: put it there"),
    ],
)
def test_a_table_that_cannot_be_used_says_what_to_change(beamline, tmp_path, text, said):
    table, frames, base = beamline
    table.write_text(text, encoding="utf-8")
    ended = run(base.path, "--labels", table, "--frames", frames, "--bundle", tmp_path / "mine")
    assert ended.exit_code == 1
    assert said in " ".join(ended.output.split())
    assert not (tmp_path / "mine").exists()


def test_a_table_may_begin_with_a_mark_and_hold_spaces(beamline):
    table, frames, base = beamline
    text = "\ufefffile, frame, halo, ring\n00.npy,0,1,0\n 01.npy ,,,1\n"
    table.write_text(text, encoding="utf-8")
    first, second = read_csv(table, base.vocabulary, frames)
    assert (first.labels[HALO], first.labels[RING]) == (1, 0)
    assert (second.labels[HALO], second.labels[RING]) == (-1, 1)
    assert (np.delete(first.labels, [HALO, RING]) == -1).all()


def test_a_labelled_file_that_broke_is_named(beamline, tmp_path):
    table, frames, base = beamline
    (frames / "07.npy").write_bytes(b"no frame")
    ended = run(base.path, "--labels", table, "--frames", frames, "--bundle", tmp_path / "mine")
    assert ended.exit_code == 1
    assert "07.npy is no readable frame" in " ".join(ended.output.split())
    assert not (tmp_path / "mine").exists()


def test_the_command_overwrites_no_folder_that_is_no_bundle(beamline):
    table, frames, base = beamline
    for out, said in ((frames, "is no bundle"), (base.path, "start from")):
        ended = run(base.path, "--labels", table, "--frames", frames, "--bundle", out)
        assert ended.exit_code == 2
        assert said in " ".join(ended.output.split())
    assert len(list(frames.iterdir())) == 24


def test_a_real_frame_inside_a_stack_has_the_id_of_that_frame(real_data, real_index, tmp_path):
    row = next(row for row in real_index if int(row["frame"]) > 0)
    table = tmp_path / "labels.csv"
    table.write_text(f"file,frame,ring\n{row['file']},{row['frame']},1\n", encoding="utf-8")
    (member,) = read_csv(table, load_vocabulary("aam20"), real_data)
    digest = hashlib.sha256((real_data / row["file"]).read_bytes()).hexdigest()
    assert member.frame_id == f"{digest}.{row['frame']}"
    (prepared,) = prepare_members([member], PreprocessSpec(64))
    assert prepared.shape == (2, 64, 64)
