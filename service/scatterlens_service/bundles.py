"""Which bundles this installation serves."""

from scatterlens_models.bundle import Bundle, find_bundle, load_bundle, shipped_bundles
from scatterlens_service.ledger.records import ModelVersion
from scatterlens_service.settings import Settings


class NoModelError(LookupError):
    """There is no bundle to serve: install one, or name one in SCATTERLENS_ACTIVE_MODELS."""


def active_bundles(settings: Settings) -> list[Bundle]:
    """Verified bundles that every frame is annotated with; the first is production.

    Raises:
        NoModelError: nothing is shipped and nothing is named.
        BundleError: a named bundle is missing or damaged.
    """
    names = settings.active_models or tuple(sorted(shipped_bundles()))
    if not names:
        raise NoModelError(
            "no bundle is shipped with this installation; put one into"
            f" {settings.bundle_folder} and name it in SCATTERLENS_ACTIVE_MODELS"
        )
    return [load_bundle(find_bundle(name, settings.home)) for name in names]


def known_names(settings: Settings) -> list[str]:
    """Names of all bundles, active or not."""
    installed = (p.parent.name for p in settings.bundle_folder.glob("*/bundle.json"))
    return sorted({*shipped_bundles(), *installed})


def to_model_version(bundle: Bundle) -> ModelVersion:
    """How the ledger names a bundle."""
    return ModelVersion(bundle.name, bundle.version)
