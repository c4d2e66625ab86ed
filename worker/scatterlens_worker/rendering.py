"""What a worker draws of one frame when somebody asks: its pixels, polar sums, gradient maps."""

import numpy as np

from scatterlens_models.frame import Frame
from scatterlens_models.polar import pack_sums, sum_polar
from scatterlens_models.preprocess import prepare
from scatterlens_service.keeping.gradients import attribute_in, pack_maps
from scatterlens_service.keeping.renders import pack_pixels, polar_in
from scatterlens_service.ledger import LeasedJob
from scatterlens_worker.runtime import Runtime


def draw(runtime: Runtime, job: LeasedJob, frame: Frame) -> bytes:
    """Bytes to keep for a render job.

    Raises:
        NoGradientsError: the bundle was exported without the graph that computes them.
    """
    if "pixels" in job.parameters:
        return pack_pixels(frame)
    if "polar" in job.parameters:
        return pack_sums(sum_polar(frame, *polar_in(job.parameters)))
    return _gradient_maps(runtime, job, frame)


def _gradient_maps(runtime: Runtime, job: LeasedJob, frame: Frame) -> bytes:
    model = runtime.gradients(job.model.version)
    prepared, _ = prepare(frame, model.bundle.preprocess)
    position = model.bundle.vocabulary.ids.index(attribute_in(job.parameters))
    maps = model.maps(prepared[np.newaxis], position)
    return pack_maps({name: of[0] for name, of in maps.items()})
