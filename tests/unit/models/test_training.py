"""Training that survives a kill, and bundles that can be trusted."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from scatterlens_models.annotate import annotate_frames
from scatterlens_models.bundle import BundleError, load_bundle
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.evaluation.curve import read_curve
from scatterlens_models.frame import Frame
from scatterlens_models.nets import build
from scatterlens_models.session import DeviceError, ModelSession
from scatterlens_models.stored import pack, unpack
from scatterlens_models.synthetic.dataset import SPLITS
from scatterlens_models.synthetic.dataset import build as build_shards
from scatterlens_models.training.checkpoint import CheckpointError, load_checkpoint, load_weights
from scatterlens_models.training.export import export
from scatterlens_models.training.loop import predict, train
from scatterlens_models.training.optimiser import orthogonalise
from scatterlens_models.training.recipe import continued
from scatterlens_models.training.run import learned_frames
from scatterlens_models.training.shrinking import ShrinkError, shrink_bundle
from scatterlens_models.vocabulary import load_vocabulary
from support.tiny_training import tiny_examples, tiny_recipe

# The exporter of torch speaks of its own future, and of packages that we do not use.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning", "ignore::DeprecationWarning:onnxscript.*"
)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return tiny_examples()


@pytest.fixture(scope="module")
def bundle_folder(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    net = train(tiny_recipe(), examples, examples, folder / "run", evaluations=1)
    export(net, tiny_recipe(), examples, folder / "bundle", "tiny", {"training": "noise"})
    return folder / "bundle"


def test_muon_steps_are_orthogonal_and_keep_their_directions():
    matrix = torch.randn((24, 90), generator=torch.Generator().manual_seed(3))
    for gradient in (matrix, matrix.T, 1e-5 * matrix):
        step = orthogonalise(gradient)
        left, _, right = torch.linalg.svd(gradient, full_matrices=False)
        inner = left.T @ step @ right.T
        assert torch.all((inner.diagonal() > 0.6) & (inner.diagonal() < 1.3))
        torch.testing.assert_close(
            inner - inner.diagonal().diag(), torch.zeros(24, 24), atol=1e-3, rtol=0
        )


def test_training_learns_what_is_there_to_learn(examples, tmp_path):
    long = tiny_recipe("vgg16", passes=480)
    seen = []
    train(long, examples, examples, tmp_path, evaluations=2, report=seen.append)
    curve = [point for point in read_curve(tmp_path) if point.mean_ap is not None]
    assert [point.passes for point in curve] == [240, 480]
    assert curve[-1].loss < curve[0].loss
    assert seen[-1].mean_ap == curve[-1].mean_ap


def test_a_run_may_start_from_the_weights_of_another(examples, tmp_path):
    first = train(tiny_recipe(passes=8), examples, examples, tmp_path / "first", evaluations=1)
    more = continued(tiny_recipe(passes=8), tmp_path / "first" / "checkpoint.safetensors")
    still = replace(more, filter_rate=0.0, learning_rate=0.0)
    second = train(still, examples, examples, tmp_path / "second", evaluations=1)
    for name, value in first.named_parameters():
        torch.testing.assert_close(second.get_parameter(name), value, rtol=0, atol=0)
    assert second.state_dict().keys() == first.state_dict().keys()


def test_a_run_that_says_nothing_of_its_frames_is_no_start(tmp_path):
    with pytest.raises(ValueError, match="has ended"):
        learned_frames(tmp_path / "checkpoint.safetensors")


def test_a_folder_of_another_recipe_is_refused(examples, tmp_path):
    train(tiny_recipe(passes=8), examples, examples, tmp_path, evaluations=1)
    with pytest.raises(ValueError, match="another folder"):
        train(tiny_recipe(passes=16), examples, examples, tmp_path, evaluations=1)


def test_a_checkpoint_of_another_network_is_refused(examples, tmp_path):
    net = train(tiny_recipe(passes=8), examples, examples, tmp_path, evaluations=1)
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(tmp_path / "checkpoint.safetensors", net.blocks)


def test_a_bundle_serves_what_the_contract_says(bundle_folder):
    bundle = load_bundle(bundle_folder)
    session = ModelSession(bundle)
    batch = np.random.default_rng(2).random((5, 2, 64, 64), np.float32)
    predictions = session.predict(batch)
    assert len(predictions) == 5
    first = predictions[0]
    assert first.probabilities.shape == (20,)
    assert first.attribute_maps.shape == (20, 16, 16)
    assert first.attention_maps.shape == (len(bundle.attention_names), 16, 16)
    assert bundle.additive
    temperature = np.array(bundle.content["temperature"])
    logits = first.attribute_maps.sum(axis=(1, 2)) + bundle.bias
    np.testing.assert_allclose(
        first.probabilities, 1 / (1 + np.exp(-logits / temperature)), atol=1e-5
    )
    alone = session.predict(batch[3:4])[0]
    # Not to the last bit: onnxruntime adds up in another order for another size of the batch.
    np.testing.assert_allclose(alone.probabilities, predictions[3].probabilities, atol=1e-5)


def test_a_bundle_holds_the_weights_that_it_was_exported_from(bundle_folder, examples):
    net = build("aam", load_vocabulary("aam20"), 0.0625, poolings=2)
    load_weights(bundle_folder / "weights.safetensors", net)
    bundle = load_bundle(bundle_folder)
    logits = predict(net.eval(), examples.x[:5])
    served = ModelSession(bundle).predict(examples.x[:5].float().numpy())
    expected = 1 / (1 + np.exp(-logits / np.array(bundle.content["temperature"])))
    np.testing.assert_allclose([p.probabilities for p in served], expected, atol=1e-5)


def test_a_changed_file_is_refused(bundle_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle_folder, copy)
    model = copy / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))
    with pytest.raises(BundleError, match="not the file that was sealed"):
        load_bundle(copy)
    model.unlink()
    with pytest.raises(BundleError, match="misses its file"):
        load_bundle(copy)
    with pytest.raises(BundleError, match="no readable"):
        load_bundle(tmp_path)


def test_a_required_gpu_that_is_absent_is_an_error(bundle_folder):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError, match="runs on CPUExecutionProvider"):
        ModelSession(load_bundle(bundle_folder), "cuda", require_gpu=True)


def test_novelty_is_high_for_a_frame_unlike_any_other(bundle_folder, examples):
    session = ModelSession(load_bundle(bundle_folder))
    known = session.predict(examples.x.float().numpy())
    novelty = session.bundle.novelty
    familiar = [novelty.percentile(p.features.astype(float)) for p in known]
    assert 0.4 < np.median(familiar) < 0.6
    assert novelty.percentile(known[0].features * 100.0) == 1


def test_annotations_survive_storage(bundle_folder):
    session = ModelSession(load_bundle(bundle_folder))
    rng = np.random.default_rng(3)
    image = rng.poisson(5, (300, 210)).astype(np.float32)
    mask = rng.random(image.shape) < 0.1
    frame = Frame(np.where(mask, 0, image).astype(np.float32), mask, np.zeros_like(mask))
    found = annotate_frames([frame], session)[0]
    again = unpack(pack(found.stored))
    np.testing.assert_array_equal(again.mask, mask)
    np.testing.assert_array_equal(again.attribute_maps, found.stored.attribute_maps)
    np.testing.assert_array_equal(again.attention_maps, found.stored.attention_maps)
    np.testing.assert_array_equal(again.preview_mask, mask)
    assert again.placement == found.stored.placement
    assert found.mask_fraction == pytest.approx(mask.mean())


def test_the_preview_of_a_large_frame_is_the_mean_of_live_pixels(bundle_folder):
    from scatterlens_models.annotate import preview
    from scatterlens_models.preprocess import expand

    rng = np.random.default_rng(4)
    image = rng.poisson(200, (1100, 2051)).astype(np.float32)
    mask = rng.random(image.shape) < 0.2
    image[mask] = 0
    mask[:3, :3] = True
    image[mask] = 0
    small, small_mask = preview(Frame(image, mask, np.zeros_like(mask)))
    assert small.shape == (367, 684)
    assert small_mask[0, 0]
    block, live = image[3:6, 6:9], ~mask[3:6, 6:9]
    assert expand(small[1, 2].astype(float)) == pytest.approx(block[live].mean(), rel=0.02)
    assert expand(small[-1, -1].astype(float)) == pytest.approx(
        image[1098:, 2049:][~mask[1098:, 2049:]].mean(), rel=0.02
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "part"
    split = replace(SPLITS["bench-v1/validation"], frames=12)
    assert sum(build_shards(split, folder)) == 12
    return folder


def test_a_bundle_in_half_precision_is_smaller_and_says_nearly_the_same(
    bundle_folder, shards, tmp_path
):
    whole = load_bundle(bundle_folder)
    small, before, after = shrink_bundle(whole, tmp_path / "small", shards)
    for name in ("model.onnx", "weights.safetensors"):
        assert (small.path / name).stat().st_size < 0.9 * (whole.path / name).stat().st_size
    assert before - after <= 0.002
    assert small.version != whole.version
    assert small.metrics == {}
    batch = np.random.default_rng(2).random((5, 2, 64, 64), np.float32)
    said = [
        np.stack([p.probabilities for p in ModelSession(b).predict(batch)]) for b in (whole, small)
    ]
    np.testing.assert_allclose(said[1], said[0], atol=5e-3)
    assert not np.array_equal(*said)
    load_weights(
        small.path / "weights.safetensors",
        build("aam", load_vocabulary("aam20"), 0.0625, poolings=2),
    )
    with pytest.raises(FileExistsError):
        shrink_bundle(whole, tmp_path / "small", shards)


def test_a_bundle_that_half_precision_spoils_is_not_written(
    bundle_folder, shards, tmp_path, monkeypatch
):
    monkeypatch.setattr("scatterlens_models.training.shrinking.LARGEST_LOSS", -1.0)
    with pytest.raises(ShrinkError, match="as it is"):
        shrink_bundle(load_bundle(bundle_folder), tmp_path / "small", shards)
    assert not list(tmp_path.iterdir())
