"""Every network keeps the one contract: trains, explains, exports, says no to bad arguments."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from scatterlens_models.losses.labels import label_loss
from scatterlens_models.nets import METHODS, build
from scatterlens_models.nets.backbones import googlenet, resnet, vgg
from scatterlens_models.training.export import ServedNet, write_onnx
from scatterlens_models.training.objective import backward
from scatterlens_models.training.optimiser import optimisers
from scatterlens_models.training.recipe import slim
from scatterlens_models.vocabulary import load_vocabulary

# The exporter of torch 2.13 and onnxscript warn of their own insides.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning", "ignore::DeprecationWarning:onnxscript.*"
)

SIZE = 64
EXPORTED = (
    "aam",
    "aam_residual",
    "resnet18",
    "resnet50",
    "googlenet",
    "maap_vgg11",
    "loss_attention_vgg11",
    "gated_resnet18",
    "loss_attention_capsule_resnet18",
    "routing_vgg11",
    "fashion3_aam",
)
"""One of each kind; `benchmarks/methods.py` exports them all."""


@pytest.fixture(scope="module")
def vocabulary():
    return load_vocabulary("aam20")


@pytest.fixture
def frames():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(4, 2, SIZE, SIZE, generator=generator)
    labels = torch.randint(-1, 2, (4, 20), generator=generator).to(torch.int8)
    return x, labels


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_steps_of_every_objective_teach_the_labels_of_their_batch(method, vocabulary, frames):
    torch.manual_seed(2)
    x, labels = frames
    peak = slim(method)
    # A tenth of the peak rates, as at the beginning of a run.
    recipe = replace(peak, filter_rate=peak.filter_rate / 10, learning_rate=peak.learning_rate / 10)
    net = build(method, vocabulary, 1 / 16, poolings=2)
    optimizers = optimisers(net, recipe)
    losses = []
    for _ in range(4):
        net.zero_grad()
        output = net(x)
        losses.append(float(label_loss(output.logits.detach(), labels)))
        assert np.isfinite(float(backward(net, recipe, x, output, labels, step=0)))
        for name, parameter in net.named_parameters():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), name
        for optimizer in optimizers:
            optimizer.step()
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("method", METHODS)
def test_maps_say_what_the_logits_say(method, vocabulary, frames):
    torch.manual_seed(3)
    net = build(method, vocabulary, 1 / 16, poolings=2)
    x, _ = frames
    net(x)  # one pass, so that running statistics are those of some frames
    net.eval()
    with torch.no_grad():
        found = net.explain(x)
        torch.testing.assert_close(found.logits, net(x).logits, rtol=1e-5, atol=1e-5)
        chained = net.score(net.last(net.inner(x)))
    torch.testing.assert_close(found.logits, chained, rtol=1e-5, atol=1e-5)
    assert found.attribute_maps.shape[:2] == (4, 20)
    assert found.features.shape[0] == 4
    if net.additive:
        summed = found.attribute_maps.sum(dim=(2, 3)) + net.bias()
        torch.testing.assert_close(summed, found.logits, rtol=1e-4, atol=1e-4)
    names = len(net.attention_names)
    if names:
        assert found.attention_maps.shape[1] == names
        assert found.attention_maps.shape[2:] == found.attribute_maps.shape[2:]
    else:
        assert found.attention_maps is None


@pytest.mark.parametrize("method", EXPORTED)
def test_the_exported_graph_says_the_same(method, vocabulary, frames, tmp_path):
    torch.manual_seed(4)
    net = build(method, vocabulary, 1 / 16, poolings=2)
    x = torch.cat((frames[0], frames[0][:1].flip(2)))
    net(x)
    served = ServedNet(net, np.linspace(0.5, 2, 20))
    write_onnx(served, x, tmp_path / "model.onnx", bool(net.attention_names))
    assert (tmp_path / "model.onnx").stat().st_size > 10_000


@pytest.mark.parametrize(
    "method", ["aam", "vgg16", "resnet18", "loss_attention_vgg11", "maap_vgg11"]
)
def test_a_side_that_cannot_be_halved_is_refused(method, vocabulary):
    net = build(method, vocabulary, 1 / 16, poolings=3).eval()
    with pytest.raises(ValueError, match="multiple of"):
        net(torch.rand(1, 2, 65, 65))


@pytest.mark.parametrize("method", ["vgg16", "resnet18", "maap_vgg11", "loss_attention_vgg11"])
def test_a_batch_of_one_trains_where_statistics_come_from_the_grid(method, vocabulary, frames):
    net = build(method, vocabulary, 1 / 16, poolings=2)
    x, labels = frames
    loss = backward(net, slim(method), x[:1], net(x[:1]), labels[:1], step=0)
    assert torch.isfinite(loss)


@pytest.mark.parametrize("poolings", [-1, 9])
@pytest.mark.parametrize(
    "method", ["aam", "vgg16", "resnet18", "googlenet", "mean_vgg11", "routing_resnet18"]
)
def test_a_number_of_poolings_that_cannot_be_is_refused(method, poolings, vocabulary):
    with pytest.raises(ValueError, match=str(poolings)):
        build(method, vocabulary, 1 / 16, poolings=poolings)


def test_an_unknown_method_is_refused_with_those_that_exist(vocabulary):
    with pytest.raises(ValueError, match="loss_attention_capsule_vgg11"):
        build("alexnet", vocabulary)


def test_backbones_have_the_published_sizes():
    # CIFAR-10 rows of Table II in Shi et al. (2021), in millions, with their heads.
    assert count(resnet(18, 1, 3)) + 512 * 10 + 10 == 11_173_962
    assert count(resnet(50, 1, 3, wide_bottleneck=True)) + 2048 * 10 + 10 == 58_156_618
    head = 512 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 10 + 10
    assert round((count(vgg(11, 1, 3, bias=True)) + head) / 1e6, 2) == 28.15
    # GoogLeNet without its auxiliary heads and last layer has about six million weights.
    assert 5.5e6 < count(googlenet(1, 3)) < 6.5e6


@pytest.mark.parametrize(
    "refused", [lambda: resnet(18, 1, 3, ("stage9",)), lambda: googlenet(1, 3, ("3c",))]
)
def test_a_place_to_halve_that_does_not_exist_is_refused(refused):
    with pytest.raises(ValueError, match="there are first"):
        refused()
