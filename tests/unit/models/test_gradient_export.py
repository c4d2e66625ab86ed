"""The second graph of a bundle against autograd."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from scatterlens_models.bundle import load_bundle
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.gradients import GRADIENT_FILE, GradientSession, NoGradientsError
from scatterlens_models.nets import build
from scatterlens_models.nets.gradient_maps import MAPS, inner_maps
from scatterlens_models.nets.layers import Net
from scatterlens_models.training import gradient_export
from scatterlens_models.training.export import export
from scatterlens_models.training.export_error import ExportError
from scatterlens_models.training.gradient_export import write_gradient_onnx
from scatterlens_models.training.recipe import Recipe
from scatterlens_models.vocabulary import load_vocabulary

# The exporter of torch speaks of its own future, and of packages that we do not use.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*LeafSpec.*:FutureWarning", "ignore::DeprecationWarning:onnxscript.*"
    ),
    pytest.mark.timeout(300),
]


class EveryOperation(Net):
    """A tail of all operations that networks here have after their inner layer, and more."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Conv2d(2, 4, 3, padding=1)
        self.strided = nn.Conv2d(4, 8, 3, stride=2, groups=2)  # leaves the last row unread
        self.wide = nn.Conv2d(8, 8, (3, 5), padding=(2, 4), dilation=2)
        self.norm = nn.BatchNorm2d(8)
        self.gate = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Sigmoid())
        self.head = nn.Conv2d(14, 3, 1)

    def inner(self, x_BCHW):
        return torch.relu(self.low(x_BCHW))

    def last(self, f_BCHW):
        h = torch.relu(self.norm(self.wide(self.strided(f_BCHW))))
        h = h * self.gate(h.mean(dim=(2, 3)) + h.amax(dim=(2, 3)))[:, :, None, None]
        around = functional.max_pool2d(h, 3, stride=1, padding=1)
        coarse = functional.max_pool2d(around, 3, stride=2, padding=1)
        spread = functional.interpolate(
            coarse, size=h.shape[-2:], mode="bilinear", align_corners=False
        )
        shares = (h + spread).flatten(2).softmax(dim=2).view(h.shape)
        h = torch.tanh(h + spread) + shares
        return torch.cat((h[:, 2:], torch.relu(h)), dim=1)

    def score(self, h_BCHW):
        cells = self.head(h_BCHW).flatten(2).transpose(1, 2)
        logits = functional.logsigmoid(cells)
        weights = torch.softmax(functional.normalize(cells, dim=2).sum(dim=2), dim=1)
        pooled = functional.adaptive_avg_pool2d(h_BCHW, 1).flatten(1)[:, :3]
        return (logits * weights.unsqueeze(2)).sum(dim=1) + pooled.square().exp().log1p()


def every_operation() -> Net:
    return EveryOperation()


def shipped(method: str, poolings: int):
    return lambda: build(method, load_vocabulary("aam20"), 0.0625, poolings=poolings)


NETS = {
    "every operation": every_operation,
    "fashion2_aam": shipped("fashion2_aam", 2),
    "resnet18": shipped("resnet18", 4),
    "loss_attention_vgg11": shipped("loss_attention_vgg11", 2),
}


@pytest.mark.parametrize("name", NETS)
def test_the_graph_computes_what_autograd_does_at_any_batch(name, tmp_path):
    torch.manual_seed(1)
    net = NETS[name]().train()
    frames = torch.rand(5, 2, 32, 32)
    attributes = net(frames).logits.shape[1]
    before = {key: value.clone() for key, value in net.state_dict().items()}
    write_gradient_onnx(net, frames, tmp_path / "graph.onnx")
    assert net.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])

    session = onnxruntime.InferenceSession(
        str(tmp_path / "graph.onnx"), providers=["CPUExecutionProvider"]
    )
    assert [output.name for output in session.get_outputs()] == list(MAPS)
    for batch in (1, 3, 5):
        x = torch.rand(batch, 2, 32, 32)
        score = torch.randn(batch, attributes)
        expected = inner_maps(net, x, score, layers=("inner",))["inner"]
        found = session.run(list(MAPS), {"frames": x.numpy(), "onehot": score.numpy()})
        for kind, map_BHW in zip(MAPS, found, strict=True):
            peak = float(expected[kind].max())
            assert peak > 0
            np.testing.assert_allclose(map_BHW, expected[kind].numpy(), rtol=0, atol=1e-4 * peak)


class Hidden(Net):
    """Takes a way that depends on values, which no graph can hold."""

    def inner(self, x_BCHW):
        return x_BCHW

    def last(self, f_BCHW):
        return f_BCHW * float(f_BCHW.sum())

    def score(self, h_BCHW):
        return h_BCHW.mean(dim=(2, 3))


def test_what_cannot_be_exported_is_an_export_error(tmp_path):
    with pytest.raises(ExportError, match="gradients of Hidden cannot be exported"):
        write_gradient_onnx(Hidden(), torch.rand(5, 2, 8, 8), tmp_path / "graph.onnx")


def test_a_graph_that_differs_is_an_export_error(tmp_path, monkeypatch):
    rule = gradient_export._convolution_backward

    def wrong(*arguments):
        return 1.01 * rule(*arguments)[0], None, None

    monkeypatch.setattr(gradient_export, "_convolution_backward", wrong)
    net = shipped("fashion2_aam", 2)()
    with pytest.raises(ExportError, match="differs by"):
        write_gradient_onnx(net, torch.rand(5, 2, 16, 16), tmp_path / "graph.onnx")


def test_too_few_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="needs 5 example frames"):
        write_gradient_onnx(every_operation(), torch.rand(2, 2, 32, 32), tmp_path / "graph.onnx")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network and its bundles: with gradients, and without."""
    torch.manual_seed(2)
    recipe = Recipe(method="fashion2_aam", width=0.0625, input_size=32)
    net = build("fashion2_aam", load_vocabulary("aam20"), 0.0625, poolings=recipe.poolings).eval()
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 2, (8, 20), generator=generator).to(torch.int8)
    examples = Examples(torch.rand((8, 2, 32, 32), generator=generator).half(), labels)
    folder = tmp_path_factory.mktemp("gradients")
    with_graph = export(net, recipe, examples, folder / "with", "tiny", {}, gradients=True)
    return net, with_graph, export(net, recipe, examples, folder / "without", "tiny", {})


def test_a_bundle_with_gradients_serves_the_maps_of_an_attribute(exported):
    net, bundle, _ = exported
    assert bundle.gradient_maps == ("gradcam", "a_ch", "a_px")
    assert GRADIENT_FILE in bundle.content["files"]
    session = GradientSession(load_bundle(bundle.path))
    x = torch.rand(3, 2, 32, 32)
    found = session.maps(x.numpy(), 7)
    expected = inner_maps(net, x, torch.eye(20)[[7, 7, 7]], layers=("inner",))["inner"]
    assert set(found) == set(MAPS)
    for kind, map_BHW in found.items():
        assert map_BHW.dtype == np.float32
        peak = float(expected[kind].max())
        np.testing.assert_allclose(map_BHW, expected[kind].numpy(), rtol=0, atol=1e-4 * peak)


@pytest.mark.parametrize("attribute", [-1, 20])
def test_an_attribute_that_does_not_exist_is_refused(exported, attribute):
    session = GradientSession(exported[1])
    with pytest.raises(ValueError, match="from 0 to 19"):
        session.maps(np.zeros((1, 2, 32, 32), np.float32), attribute)


def test_a_bundle_without_gradients_says_what_to_do(exported):
    bundle = exported[2]
    assert bundle.gradient_maps == ()
    with pytest.raises(NoGradientsError, match="export it with gradients"):
        GradientSession(bundle)
