"""The gateway as an ASGI application with all its real parts, over a home folder of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from scatterlens_service.gateway.app import create_app
from scatterlens_service.gateway.protocol import ProblemProtocol
from scatterlens_service.settings import Settings
from support import made_frames
from support.bundles import make_bundle
from support.gateway import Service, make_key


@pytest.fixture
def make_settings(tmp_path, monkeypatch) -> Callable[..., Settings]:
    def make(**options: object) -> Settings:
        monkeypatch.setenv("SCATTERLENS_HOME", str(tmp_path))
        if not (tmp_path / "bundles").exists():
            make_bundle(tmp_path / "bundles")
        return Settings(**{"active_models": ("linear",), "min_free_share": 0.0, **options})

    return make


@pytest.fixture
def open_service(make_settings) -> Iterator[Callable[..., Service]]:
    opened: list[TestClient] = []

    def open_it(**options: object) -> Service:
        settings = make_settings(**options)
        client = TestClient(create_app(settings), raise_server_exceptions=False)
        opened.append(client.__enter__())
        client.headers["Authorization"] = f"Bearer {make_key(settings, role='admin')}"
        return Service(client, settings)

    yield open_it
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def service(open_service) -> Service:
    return open_service()


@pytest.fixture
def live(service) -> Iterator[str]:
    """Address of a second gateway over the same home, behind a real server: for streams."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service.settings), http=ProblemProtocol, port=0, log_level="warning"
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(20)


@pytest.fixture
def work(service) -> Iterator[Callable[[], None]]:
    """Have a real worker, in this process, do all that waits."""
    from scatterlens_worker.drain import drain
    from scatterlens_worker.runtime import Runtime

    with Runtime(service.settings) as runtime:

        def work() -> None:
            while drain(runtime):
                pass

        yield work


@pytest.fixture
def large_cbf(real_or_none: Path | None) -> bytes:
    """GISAXS on a Pilatus 2M, or what looks like it: 1679 x 1475 pixels."""
    if real_or_none is None:
        return made_frames.large_cbf()
    name = "gisaxsgui__jg_gisaxs_4nm_old_3ml_insitu_ds03_00001_00005.cbf"
    return (real_or_none / name).read_bytes()
