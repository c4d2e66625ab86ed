"""Frames rendered together are those rendered alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from scatterlens_models.synthetic import batched
from scatterlens_models.synthetic.dataset import INPUT_SCALE, simulate
from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.detector import detect, noise_generator, prepare
from scatterlens_models.synthetic.geometry import maps, prepared_grid
from scatterlens_models.synthetic.labels import NeedsImagesError
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.vocabulary import load_vocabulary

SEED = 5
INDICES = range(0, 7 * 48, 7)
"""Frames of seven experiments, of every kind of component."""


@pytest.fixture(scope="module")
def scenes():
    return [sample(SEED, index) for index in INDICES]


@pytest.fixture(scope="module")
def batch(scenes):
    return batched.render_batch([batched.plan(scene) for scene in scenes])


def test_the_scenes_are_of_every_kind_and_plane(scenes):
    components = [component for scene in scenes for component in scene.components]
    kinds = {component.kind for component in components}
    assert kinds >= {"rings", "halo", "low_q", "high_q", "form_factor", "crystal", "fibre"}
    assert any(component.uniaxial for component in components)
    assert any(component.ellipticity != 1 for component in components)
    assert any(not scene.components for scene in scenes)


def test_a_frame_is_the_same_alone_and_in_a_batch(scenes, batch):
    differing = []
    for scene, together in zip(scenes, batch.visibilities(), strict=True):
        rendered = render(scene)
        alone = judge(scene, rendered)
        np.testing.assert_allclose(together.amplitudes, alone.amplitudes, rtol=1e-5)
        np.testing.assert_allclose(together.dprime, alone.dprime, rtol=1e-3, atol=0.01)
        np.testing.assert_allclose(together.modulation, alone.modulation, rtol=1e-3, atol=0.05)
        np.testing.assert_array_equal(together.azimuth_deg, alone.azimuth_deg)
        pixels = [
            np.round(INPUT_SCALE * _with_noise(scene, rendered.maps, seen.expected))
            for seen in (alone, together)
        ]
        differing.append(np.mean(pixels[0] != pixels[1]))
    assert np.mean(differing) <= 1e-4


def _with_noise(scene, here, expected):
    rng = noise_generator(scene.seed, scene.index)
    return prepare(*detect(scene, expected, here.coverage, here.grid, rng))[0]


def test_labels_are_the_same_alone_and_in_a_batch(scenes, batch):
    for scene, together in zip(
        scenes, batched.label_batch(batch, load_vocabulary("aam20")), strict=True
    ):
        alone = simulate(SEED, scene.index).labelled
        np.testing.assert_array_equal(together.labels, alone.labels)
        np.testing.assert_allclose(together.dprime, alone.dprime, rtol=1e-3, atol=0.05)
        assert np.abs(together.evidence.astype(int) - alone.evidence).max() <= 2


def test_a_frame_does_not_depend_on_its_neighbours(scenes, batch):
    some = batched.render_batch([batched.plan(scene) for scene in scenes[5:9]])
    torch.testing.assert_close(some.expected, batch.expected[5:9], rtol=1e-5, atol=1e-6)


def test_labels_that_need_images_are_refused(batch):
    with pytest.raises(NeedsImagesError, match="beamstop_linear"):
        batched.label_batch(batch, load_vocabulary("full"))


def test_scenes_of_the_published_generator_are_refused():
    with pytest.raises(NeedsImagesError, match="one by one"):
        batched.plan(sample(SEED, 3, "paper"))


def test_noise_has_the_mean_and_variance_of_the_mean_of_native_pixels(scene_of):
    scene = scene_of()
    flat = replace(scene, background=replace(scene.background, flat=3.0))
    made = batched.render_batch([batched.plan(flat)] * 4)
    x = batched.expose_batch(made, torch.Generator().manual_seed(1))
    counts = np.expm1(x[:, 0].double().numpy() * np.log(65536))
    native = prepared_grid(flat.instrument, 256).scale ** -2
    assert counts.mean() == pytest.approx(3.0, rel=2e-3)
    assert counts.var() * native / 3.0 == pytest.approx(1, rel=0.02)
    assert not np.array_equal(counts[0], counts[1])


def test_noise_of_a_batch_is_like_that_of_single_frames(scenes, batch):
    x = batched.expose_batch(batch, torch.Generator().manual_seed(2)).numpy()
    for number, scene in enumerate(scenes):
        alone = simulate(SEED, scene.index).prepared
        live = maps(scene.instrument, prepared_grid(scene.instrument, 256)).coverage > 0.5
        for quantile in (0.1, 0.5, 0.9):
            assert np.quantile(x[number, 0][live], quantile) == pytest.approx(
                np.quantile(alone[0][live], quantile), abs=0.01
            )
        assert np.abs(x[number, 1] - alone[1]).mean() < 0.01
