"""The model versions that may be asked for, by their bundles' metadata; nothing is run here."""

from dataclasses import dataclass
from functools import cached_property

from scatterlens_models.bundle import Bundle, find_bundle, load_bundle
from scatterlens_service.bundles import active_bundles, known_names
from scatterlens_service.settings import Settings


class UnknownModelError(LookupError):
    """No such model version; the message names those that are known."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Known bundles. The active ones annotate every frame; the first of them is production."""

    active: tuple[Bundle, ...]
    others: tuple[Bundle, ...] = ()

    @property
    def production(self) -> Bundle:
        """The model meant where none is named."""
        return self.active[0]

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """All of them, production first."""
        return (*self.active, *self.others)

    def find(self, model: str | None) -> Bundle:
        """Look up `name`, `version` or `name@version`; None means production.

        Raises:
            UnknownModelError: none fits.
        """
        if model is None:
            return self.production
        for bundle in self.bundles:
            if model in (bundle.name, bundle.version, f"{bundle.name}@{bundle.version}"):
                return bundle
        known = ", ".join(f"{bundle.name}@{bundle.version}" for bundle in self.bundles)
        raise UnknownModelError(f"There is no model {model!r}; known are {known}")


def open_catalogue(settings: Settings) -> Catalogue:
    """Read and verify all bundles; raises as `active_bundles` does."""
    active = active_bundles(settings)
    others = sorted(set(known_names(settings)) - {bundle.name for bundle in active})
    return Catalogue(
        tuple(active), tuple(load_bundle(find_bundle(name, settings.home)) for name in others)
    )
