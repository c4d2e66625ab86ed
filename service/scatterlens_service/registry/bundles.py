"""Which bundles this installation has, and which of them the settings make active."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scatterlens_models.bundle import (
    DEFAULT_BUNDLE,
    Bundle,
    BundleError,
    bundle_digest,
    find_bundle,
    load_bundle,
    shipped_bundles,
    verify_bundle,
)
from scatterlens_service.ledger.records import ModelVersion
from scatterlens_service.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Configured:
    """What the settings make active."""

    first: Bundle | None
    """Production until another is promoted; None where one was, and this one is gone."""
    rest: tuple[Bundle, ...]

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """All of them, in their order."""
        return self.rest if self.first is None else (self.first, *self.rest)

    @property
    def models(self) -> tuple[ModelVersion | None, list[ModelVersion]]:
        """As the ledger names them: the first, and the rest."""
        first = None if self.first is None else to_model_version(self.first)
        return first, [to_model_version(bundle) for bundle in self.rest]


def read_configured(settings: Settings, *, promoted: bool = False) -> Configured:
    """Verified bundles that the settings name, or the default one.

    Where another version was `promoted`, the first may be missing or damaged.

    Raises:
        BundleError: a named bundle is missing or damaged.
    """
    names = settings.active_models or (DEFAULT_BUNDLE,)
    try:
        first = load_bundle(find_bundle(names[0], settings.home))
    except BundleError as error:
        if not promoted:
            raise
        _log.warning("%s; the promoted model takes its place", error)
        first = None
    rest = tuple(load_bundle(find_bundle(name, settings.home)) for name in names[1:])
    return Configured(first, rest)


def active_bundles(settings: Settings) -> list[Bundle]:
    """Bundles that annotate every frame until another is promoted, as `read_configured`."""
    return list(read_configured(settings).bundles)


def known_names(settings: Settings) -> list[str]:
    """Names of all bundles that lie under their names, active or not."""
    installed = (p.parent.name for p in settings.bundle_folder.glob("*/bundle.json"))
    return sorted({*shipped_bundles(), *installed})


def find_version(settings: Settings, version: str) -> Path:
    """Folder of a model version: a registered one, else one that lies under its name.

    Raises:
        BundleError: it is in none of the folders.
    """
    registered = settings.model_folder / version
    if (registered / "bundle.json").is_file():
        return registered
    for name in known_names(settings):
        with suppress(OSError):  # put there or taken away at this moment
            path = find_bundle(name, settings.home)
            if bundle_digest(path)[:12] == version:
                return path
    raise BundleError(
        f"the bundle of version {version} is gone from {settings.home}; register it again"
    )


def load_version(settings: Settings, version: str) -> Bundle:
    """Read and verify a model version; raises `BundleError` if it is gone or damaged."""
    bundle = verify_bundle(find_version(settings, version))
    if bundle.version != version:
        raise BundleError(
            f"the bundle in the folder of version {version} is {bundle.version}: its bundle.json"
            " was changed; register it again"
        )
    return bundle


def to_model_version(bundle: Bundle) -> ModelVersion:
    """How the ledger names a bundle."""
    return ModelVersion(bundle.name, bundle.version)
