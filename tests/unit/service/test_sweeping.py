"""The running gateway puts in order what others left."""

import os
import time

from scatterlens_service.keeping.file_locks import passing_name
from support.waiting import wait_until


def test_the_running_gateway_clears_what_killed_ones_left(open_service, monkeypatch):
    monkeypatch.setattr("scatterlens_service.tending.sweeping._TRIM_SECONDS", 0.1)
    settings = open_service(sweep_seconds=0.1).settings
    left = [
        settings.blob_folder / "incoming" / passing_name(),
        settings.render_folder / "incoming" / passing_name(),
        settings.model_folder / f".arriving-{passing_name()}",
    ]
    for path in left:
        if path.parent == settings.model_folder:
            path.mkdir(parents=True)
        else:
            path.touch()
        os.utime(path, (time.time() - 120,) * 2)
    wait_until(lambda: not any(path.exists() for path in left))
