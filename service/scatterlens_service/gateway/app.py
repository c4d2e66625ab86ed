"""The application: its parts put together."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from scatterlens_models.decoding import DecodeLimits
from scatterlens_service import ledger
from scatterlens_service.comparing.similar import SimilarFrames
from scatterlens_service.gateway import browser, errors
from scatterlens_service.gateway.access_log import AccessLog
from scatterlens_service.gateway.admission import Admission
from scatterlens_service.gateway.bodies import BoundBodies
from scatterlens_service.gateway.feed import EventFeed
from scatterlens_service.gateway.methods import AnswerHead
from scatterlens_service.gateway.openapi import describe
from scatterlens_service.gateway.resources import Gateway, State
from scatterlens_service.gateway.routes import (
    about,
    dataset_export,
    deletion,
    events,
    exports,
    frames,
    gradients,
    keys,
    label_export,
    labels,
    models,
    nexus,
    operations,
    pictures,
    pixels,
    profiles,
    results,
    review,
    saved,
    scans,
    search,
    session,
    similar,
    spread,
    training,
)
from scatterlens_service.gateway.understanding import refuse_unknown
from scatterlens_service.gateway.vetting import Vetting
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.keeping.maps import StoredMaps
from scatterlens_service.migrations import migrate_engine
from scatterlens_service.registry.catalogue import Shelf
from scatterlens_service.registry.upgrading import keep_default
from scatterlens_service.registry.versions import register_known
from scatterlens_service.settings import Settings
from scatterlens_service.tending.attendance import Attendance
from scatterlens_service.tending.bell import open_bell
from scatterlens_service.tending.retention import is_configured, retain_forever
from scatterlens_service.tending.sweeping import sweep_forever
from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)

PREFIX = "/api/v1"
_DESCRIPTION = """Send detector frames, get the probability of each attribute and where it was seen.

Every error is a problem document (RFC 9457) with a `remedy`. Every request but the health probes
carries `Authorization: Bearer sl_...`. Browsers log in by `POST /api/v1/session` instead: then a
cookie does, and what changes something carries `X-CSRF-Token` beside it."""


def create_app(settings: Settings, stopping: threading.Event | None = None) -> FastAPI:
    """Build the gateway; its resources are opened when it starts, and closed when it ends.

    Set `stopping` when the server begins to stop: streams and long polls then end by themselves.
    """
    stopping = stopping or threading.Event()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        async with _open_gateway(settings, stopping) as gateway:
            yield State(gateway=gateway)

    app = FastAPI(
        title="Scatterlens",
        version=version("scatterlens"),
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        # The usual pages of documentation load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(AccessLog),
            Middleware(browser.GuardHeaders),
            Middleware(AnswerHead),
            Middleware(BoundBodies),
        ],
    )
    errors.install(app)
    showing = (frames, results, pictures, pixels, profiles, nexus, spread, gradients)
    finding = (search, exports, dataset_export, similar, scans, saved)
    judging = (labels, label_export, review)
    running = (session, keys, operations, deletion)
    # The pages of the browser read their addresses themselves.
    strict = [Depends(refuse_unknown)]
    for module in (*showing, *finding, *judging, training, models, events, *running, about):
        app.include_router(module.router, prefix=PREFIX, dependencies=strict)
    app.include_router(training.of_run, prefix=PREFIX, dependencies=strict)
    app.include_router(about.probes, dependencies=strict)
    browser.add_page(app)
    app.openapi = lambda: describe(app)
    return app


@asynccontextmanager
async def _open_gateway(settings: Settings, stopping: threading.Event) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        vetting = stack.enter_context(
            Vetting(DecodeLimits(whole_confinement=settings.require_confinement))
        )
        engine = ledger.open_engine(settings.database)
        stack.callback(engine.dispose)
        await run_in_threadpool(migrate_engine, engine)
        await run_in_threadpool(register_known, settings, engine)
        await run_in_threadpool(keep_default, settings, engine)
        shelf = await run_in_threadpool(Shelf, settings, engine)
        blobs, renders = BlobFolder(settings.blob_folder), BlobFolder(settings.render_folder)
        bell = open_bell(settings.redis_url)
        stack.callback(bell.close)
        feed = EventFeed(engine, stopping, shelf.refresh)
        await stack.enter_async_context(feed.running())
        # What changed between the first look and the first event that is heard.
        await run_in_threadpool(shelf.refresh)
        attendance = Attendance()
        stop = threading.Event()
        sweeper = threading.Thread(
            target=sweep_forever,
            args=(engine, bell, blobs, renders, settings, attendance, stop),
            name="sweep",
            daemon=True,
        )
        sweeper.start()
        stack.callback(sweeper.join)
        if is_configured(settings):
            retaining = threading.Thread(
                target=retain_forever, args=(settings, engine, stop), name="retention", daemon=True
            )
            retaining.start()
            stack.callback(retaining.join)
        stack.callback(stop.set)
        yield Gateway(
            settings=settings,
            engine=engine,
            blobs=blobs,
            renders=renders,
            bell=bell,
            vetting=vetting,
            shelf=shelf,
            feed=feed,
            maps=StoredMaps(blobs),
            similar=SimilarFrames(engine),
            admission=Admission(settings, engine, blobs),
            attendance=attendance,
            troubles=Troubles(_log),
        )
