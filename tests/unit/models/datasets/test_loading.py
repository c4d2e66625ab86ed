"""Datasets as training takes them: decoded, simulated, kept, drawn by weight, unknowns left out."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from scatterlens_models.datasets.errors import DatasetError, FrameVanishedError
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.datasets.importing.tables import read_csv
from scatterlens_models.datasets.loading import load_dataset
from scatterlens_models.datasets.manifest import write_manifest
from scatterlens_models.datasets.members import RecipeMember, blob_path
from scatterlens_models.losses.labels import label_loss
from scatterlens_models.metrics import average_precisions
from scatterlens_models.preprocess import PreprocessSpec, prepare, shrink
from scatterlens_models.synthetic import dataset
from scatterlens_models.training.loop import predict, train
from scatterlens_models.training.recipe import Recipe


@pytest.fixture
def members(frames, aam20):
    path = frames / "labels.csv"
    path.write_text(
        "file,frame,split,ring,halo\na.edf,,train,1,\nstack.npy,2,train,0,1\nb.edf,,,1,\n"
    )
    return read_csv(path, aam20)


RECIPE = RecipeMember("realistic", 11, 1_000, 3, "train")


def test_files_come_first_and_recipes_after_them(members, aam20, tmp_path, child, frames):
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, [RECIPE, *members])
    loaded = load_dataset(manifest, 64, "train")
    assert loaded.x.shape == (5, 2, 64, 64)
    assert (loaded.x.dtype, loaded.labels.dtype) == (torch.float16, torch.int8)
    assert loaded.weights is None
    spec = PreprocessSpec(64)
    for row, (name, index) in enumerate((("a.edf", 0), ("stack.npy", 2))):
        expected = prepare(child.decode(frames / name, index), spec)[0]
        np.testing.assert_allclose(loaded.x[row], expected, atol=1e-3)
        assert tuple(loaded.labels[row].tolist()) == members[row].labels
    for row in range(3):
        made = dataset.simulate(11, 1_000 + row)
        np.testing.assert_allclose(loaded.x[2 + row], shrink(made.prepared, 64), atol=1e-3)
        np.testing.assert_array_equal(loaded.labels[2 + row], made.labelled.labels)


def test_a_recipe_is_read_from_shards_that_hold_it(aam20, tmp_path):
    inside = replace(RECIPE, start=1_001, count=2)
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, [inside])
    simulated = load_dataset(manifest, 64, "train")
    folder = tmp_path / "shards"
    list(dataset.build(dataset.Split("tiny", 11, 1_000, 3), folder))
    other = tmp_path / "other"
    list(dataset.build(dataset.Split("tiny", 12, 1_000, 3), other))
    loaded = load_dataset(manifest, 64, "train", shards=[other, folder])
    torch.testing.assert_close(loaded.x, simulated.x, atol=2e-3, rtol=0)
    assert torch.equal(loaded.labels, simulated.labels)
    # Shards were truly read: what is written into them is what comes.
    with h5py.File(dataset.shard_path(folder, 0), "r+") as shard:
        shard["labels"][1:] = np.full((2, 20), -1)
    assert (load_dataset(manifest, 64, "train", shards=[folder]).labels == -1).all()
    beyond = write_manifest(tmp_path / "e.jsonl", aam20, [replace(inside, count=3)])
    assert (load_dataset(beyond, 64, "train", shards=[folder]).labels >= 0).any()


def test_what_was_prepared_is_kept_by_dataset_and_size(members, aam20, tmp_path, frames):
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, members)
    cache = tmp_path / "cache"
    first = load_dataset(manifest, 64, "train", cache)
    assert [manifest.id in path.name for path in cache.iterdir()] == [True]
    (frames / "a.edf").rename(tmp_path / "elsewhere")
    again = load_dataset(manifest, 64, "train", cache)
    assert torch.equal(again.x, first.x)
    assert torch.equal(again.labels, first.labels)
    with pytest.raises(FrameVanishedError, match=r"a\.edf is gone"):
        load_dataset(manifest, 32, "train", cache)
    assert load_dataset(manifest, 64, "train", cache).x.shape[-1] == 64


def test_what_was_kept_of_one_split_is_not_taken_for_another(members, aam20, tmp_path):
    judge = replace(members[2], split="test", source="other", experiment="other")
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, [*members[:2], judge])
    train, test = (load_dataset(manifest, 64, s, tmp_path / "cache") for s in ("train", "test"))
    assert (len(train.x), len(test.x)) == (2, 1)


def test_a_changed_frame_is_not_learned_from(members, aam20, tmp_path, frames):
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, members)
    (frames / "a.edf").write_bytes((frames / "c.edf").read_bytes())
    with pytest.raises(FrameVanishedError, match="no longer the file"):
        load_dataset(manifest, 64, "train")


def test_blobs_are_read_from_their_folder(members, aam20, tmp_path, frames):
    place = blob_path(tmp_path / "blobs", members[0].sha256)
    place.parent.mkdir(parents=True)
    place.write_bytes((frames / "a.edf").read_bytes())
    blobs = write_manifest(tmp_path / "b.jsonl", aam20, [replace(members[0], path=None)])
    files = write_manifest(tmp_path / "d.jsonl", aam20, members[:1])
    loaded = load_dataset(blobs, 64, "train", blobs=tmp_path / "blobs")
    assert torch.equal(loaded.x, load_dataset(files, 64, "train").x)


def test_an_empty_split_is_refused(members, aam20, tmp_path):
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, members)
    with pytest.raises(DatasetError, match="is in test: split it first"):
        load_dataset(manifest, 64, "test")


def test_weights_go_with_the_examples(members, aam20, tmp_path):
    heavy = [replace(members[0], weight=6.0), *members[1:], RECIPE]
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, heavy)
    assert load_dataset(manifest, 64, "train").weights.tolist() == [6, 1, 1, 1, 1]


def test_evidence_is_known_of_simulated_frames_alone(members, aam20, tmp_path):
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, [*members, RECIPE])
    loaded = load_dataset(manifest, 64, "train", cache=tmp_path / "cache", evidence=True)
    simulated = len(loaded.x) - RECIPE.count
    assert loaded.evidence.shape == (len(loaded.x), 20, 16, 16)
    assert not loaded.evidence[:simulated].any()
    shown = loaded.labels[simulated:] == 1
    assert shown.any()
    assert torch.equal(loaded.evidence[simulated:].flatten(2).any(dim=2), shown)
    again = load_dataset(manifest, 64, "train", cache=tmp_path / "cache", evidence=True)
    assert torch.equal(again.evidence, loaded.evidence)
    assert load_dataset(manifest, 64, "train", cache=tmp_path / "cache").evidence is None


# Training and measuring


def tiny(passes=16):
    return Recipe("vgg16", width=0.0625, input_size=64, poolings=2, passes=passes, batch=4)


@pytest.fixture(scope="module")
def noise():
    """16 frames of noise; attribute 0 is known of half of them, attribute 1 of none."""
    generator = torch.Generator().manual_seed(2)
    x = torch.rand((16, 2, 64, 64), generator=generator).half()
    labels = torch.randint(0, 2, (16, 20), generator=generator).to(torch.int8)
    labels[::2, 0] = -1
    labels[:, 1] = -1
    return Examples(x, labels)


def test_unknowns_have_no_gradient_and_no_part_in_the_loss(noise):
    logits = torch.randn((16, 20), generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss = label_loss(logits, noise.labels)
    loss.backward()
    unknown = noise.labels < 0
    assert (logits.grad[unknown] == 0).all()
    assert (logits.grad[~unknown] != 0).all()
    known = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[~unknown], noise.labels[~unknown].float()
    )
    torch.testing.assert_close(loss, known)


def test_a_dataset_with_unknowns_trains_and_is_measured_without_them(noise, tmp_path):
    seen = []
    net = train(tiny(), noise, noise, tmp_path, evaluations=1, report=seen.append)
    scores = predict(net, noise.x)
    labels = noise.labels.numpy()
    found = average_precisions(scores, labels)
    assert np.isnan(found[1])
    assert seen[-1].mean_ap == pytest.approx(float(np.nanmean(found)))
    known = labels[:, 0] >= 0
    alone = average_precisions(scores[known, :1], labels[known, :1])
    assert found[0] == pytest.approx(alone[0])
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())


def test_what_nobody_knows_does_not_reach_the_weights_of_its_head(noise, tmp_path):
    blind = replace(noise, labels=torch.full_like(noise.labels, -1))
    blind.labels[:, 0] = noise.labels[:, 0]
    still = replace(tiny(), weight_decay=0.0)
    net = train(still, blind, noise, tmp_path / "run", evaluations=1)
    start = train(replace(still, passes=4, filter_rate=0.0, learning_rate=0.0), blind, noise,
                  tmp_path / "start", evaluations=1)  # fmt: skip
    heads = {n: p for n, p in net.named_parameters() if p.shape[0] == 20}
    assert heads
    for name, trained in heads.items():
        before = start.get_parameter(name)
        assert torch.equal(trained[1:], before[1:])
        assert not torch.equal(trained[0], before[0])


def test_training_draws_by_weight(noise, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("scatterlens_models.training.loop.turn", lambda x, _: shown.append(x) or x)
    heavy = replace(noise, weights=torch.tensor([1.0] * 15 + [15.0], dtype=torch.float64))
    train(tiny(64), heavy, noise, tmp_path, evaluations=1)
    frames = torch.cat(shown)
    share = (frames == noise.x[15].float()).all(dim=(1, 2, 3)).float().mean()
    assert share == pytest.approx(0.5, abs=0.02)


def test_a_weighted_run_that_was_killed_ends_with_the_same_weights(noise, tmp_path, monkeypatch):
    weights = torch.linspace(1, 4, 16, dtype=torch.float64)
    examples = replace(noise, weights=weights)
    monkeypatch.setattr("scatterlens_models.training.loop.CHECKPOINT_SECONDS", 0.0)
    whole = train(tiny(32), examples, noise, tmp_path / "whole", evaluations=1)

    def kill(progress):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.monotonic", iter(np.arange(0, 1e6, 2.0)).__next__)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(tiny(32), examples, noise, tmp_path / "cut", evaluations=1, report=kill)
    resumed = train(tiny(32), examples, noise, tmp_path / "cut", evaluations=1)
    for name, value in whole.state_dict().items():
        # A step that is left out or taken twice moves weights by far more than these last digits.
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_files_and_recipes_train_together(members, aam20, tmp_path):
    labelled = [replace(member, split="train", weight=2.0) for member in members]
    manifest = write_manifest(tmp_path / "d.jsonl", aam20, [*labelled, RECIPE])
    examples = load_dataset(manifest, 64, "train")
    assert bool((examples.labels == -1).any())
    seen = []
    net = train(tiny(), examples, examples, tmp_path / "run", evaluations=1, report=seen.append)
    assert np.isfinite(seen[-1].loss)
    assert np.isfinite(predict(net, examples.x)).all()
