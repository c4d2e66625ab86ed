"""Maps of a frame by every method of a bundle, on detector pixels."""

from pathlib import Path

import numpy as np
import pytest

from scatterlens_models import explanations
from scatterlens_models.bundle import load_bundle
from scatterlens_models.explanations import GRADIENTS, METHODS, NoSuchMapError, explain
from scatterlens_models.nets.gradient_maps import MAPS
from support.bundles import make_bundle
from support.detector_files import npy

FRAME = (
    Path(__file__).parents[2] / "data/swaxsdcr__b_tassone_Standards_LaB6_T20_ctr0_scan1_0000.cbf"
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return make_bundle(
        folder, gradients=True, map_scale=0.02, attention=("patch_weights", "coverage")
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles"), name="bare", seed=3)


def explain_one(bundle, *methods, attributes=("ring", "halo")):
    (one,) = explain(FRAME, None, str(bundle.path), methods, attributes)
    return one


def test_the_gradient_methods_are_those_of_the_second_graph():
    assert set(GRADIENTS) == set(MAPS)


def test_every_method_gives_maps_on_detector_pixels(bundle):
    one = explain_one(bundle, *METHODS)
    assert [(m.method, m.name) for m in one.maps] == [
        ("cam", "ring"),
        ("cam", "halo"),
        ("patch", "patch_weights"),
        ("attention", "patch_weights"),
        ("attention", "coverage"),
        *((method, attribute) for method in GRADIENTS for attribute in ("ring", "halo")),
    ]
    for found in one.maps:
        assert found.values.dtype == np.float32
        assert found.values.shape == one.frame.image.shape
        np.testing.assert_array_equal(np.isnan(found.values), one.frame.mask)


def test_evidence_has_the_bundles_scale_and_attention_its_own_contrast(bundle):
    maps = {(m.method, m.name): m for m in explain_one(bundle, *METHODS).maps}
    assert maps["cam", "ring"].full_colour == pytest.approx(0.02)
    assert maps["cam", "ring"].dark == 0
    weights = maps["attention", "patch_weights"]
    seen = weights.values[~np.isnan(weights.values)]
    assert weights.dark <= seen.min() < seen.max() <= weights.full_colour
    assert weights.probability is None


def test_gradients_are_those_of_the_attribute_that_is_asked_for(bundle):
    # The second graph of this bundle is the positive part of the first one's maps, times 1e-6.
    maps = {(m.method, m.name): m for m in explain_one(bundle, "cam", "gradcam", "a_px").maps}
    for attribute in ("ring", "halo"):
        gradient = maps["gradcam", attribute].values
        evidence = maps["cam", attribute].values
        live = ~np.isnan(evidence)
        # A float16 map was spread on one side, and clipped before it was spread on the other.
        inside = live & (evidence > np.nanmax(evidence) / 2)
        if inside.any():
            np.testing.assert_allclose(gradient[inside], 1e-6 * evidence[inside], rtol=2e-3)
            np.testing.assert_allclose(
                maps["a_px", attribute].values[live], 3 * gradient[live], rtol=1e-5
            )
    assert any((maps["gradcam", a].values > 0).any() for a in ("ring", "halo"))


def test_without_attributes_the_tags_are_explained_the_likeliest_first(bundle):
    (one,) = explain(FRAME, None, str(bundle.path))
    tags = [a for a in one.said.attributes if a.tag]
    order = sorted(tags, key=lambda a: -a.probability)
    assert [m.name for m in one.maps] == [a.id for a in order]
    assert [m.probability for m in one.maps] == [a.probability for a in order]


def test_a_frame_without_tags_is_explained_by_its_likeliest_attribute(tmp_path, bundle):
    (one,) = explain(FRAME, None, str(bundle.path))
    content = {**bundle.content, "thresholds": [1.1] * 20}
    strict = type(bundle)(bundle.path, bundle.version, content, bundle.novelty)
    found = explanations.annotate_with_arrays(FRAME, None, str(bundle.path))[0].found
    assert explanations._seen(strict, found)[0] == one.maps[0].name
    untagged = type(found)(**{**vars(found), "tags": np.zeros(20, bool)})
    assert explanations._seen(strict, untagged) == [one.maps[0].name]


@pytest.mark.parametrize(
    ("methods", "attributes", "message"),
    [
        (("gradcam",), (), "export it with gradients, or ask for `cam`"),
        (("patch",), (), "has no patch maps; ask for `cam`"),
        (("attention",), (), "has no attention maps"),
        (("lime",), (), "cam, patch, attention, gradcam, a_ch, a_px"),
        (("cam",), ("rings",), "'rings' is no attribute of aam20"),
    ],
)
def test_what_a_bundle_has_not_is_refused_with_what_it_has(bare, methods, attributes, message):
    with pytest.raises(ValueError, match=message):
        explain_one(bare, *methods, attributes=attributes)


def test_lacking_maps_are_told_apart_from_wrong_words(bare):
    with pytest.raises(NoSuchMapError):
        explain_one(bare, "patch")


def test_a_refused_file_is_a_verdict_and_a_stack_gives_each_frame(tmp_path, bundle):
    words = tmp_path / "words.cbf"
    words.write_text("no frame")
    (one,) = explain(words, None, str(bundle.path))
    assert one.said.reason.type == "unsupported"
    assert one.maps == []
    stack = tmp_path / "stack.npy"
    counts = np.random.default_rng(1).poisson(50, (3, 96, 128)).astype(np.int32)
    stack.write_bytes(npy(counts))
    found = list(explain(stack, "1:3", str(bundle.path), attributes=("ring",)))
    assert [one.said.frame_id[-2:] for one in found] == [".1", ".2"]
    assert len({one.maps[0].probability for one in found}) == 2


def test_a_bundle_is_found_by_its_folder(bundle):
    one = explain_one(bundle, "cam")
    assert one.said.model.version == load_bundle(bundle.path).version
