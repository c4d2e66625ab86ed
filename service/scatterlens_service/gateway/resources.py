"""What lives as long as the application; the lifespan makes it, requests find it in their state."""

from dataclasses import dataclass
from typing import TypedDict

from sqlalchemy import Engine

from scatterlens_service.comparing.similar import SimilarFrames
from scatterlens_service.gateway.admission import Admission
from scatterlens_service.gateway.feed import EventFeed
from scatterlens_service.gateway.vetting import Vetting
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.keeping.maps import StoredMaps
from scatterlens_service.registry.catalogue import Catalogue, Shelf
from scatterlens_service.settings import Settings
from scatterlens_service.tending.attendance import Attendance
from scatterlens_service.tending.bell import Bell
from scatterlens_service.tending.troubles import Troubles


@dataclass(frozen=True)
class Gateway:
    """Resources of one gateway process."""

    settings: Settings
    engine: Engine
    blobs: BlobFolder
    """Frames, and what models say of them."""
    renders: BlobFolder
    """What workers drew: a cache."""
    bell: Bell
    vetting: Vetting
    """Looks into files before they are taken; holds no pixels."""
    shelf: Shelf
    feed: EventFeed
    maps: StoredMaps
    similar: SimilarFrames
    admission: Admission
    attendance: Attendance
    troubles: Troubles
    """What requests met that did not work."""

    @property
    def catalogue(self) -> Catalogue:
        """The models as they were at the newest look."""
        return self.shelf.catalogue


class State(TypedDict):
    """What the lifespan yields."""

    gateway: Gateway
