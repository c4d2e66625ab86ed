"""What an operator may set, read from `SCATTERLENS_*` variables and nowhere else."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scatterlens.folders import default_home


class BadSettingsError(ValueError):
    """A setting cannot be what it is; the text names its variable."""


class Settings(BaseSettings):
    """Settings of gateway and worker; every field has a default that works on one machine.

    Raises:
        BadSettingsError: one is none that can be.
    """

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            said = "; ".join(
                f"SCATTERLENS_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()
            )
            raise BadSettingsError(f"{said}. Correct the setting, or leave it out.") from error

    model_config = SettingsConfigDict(
        env_prefix="SCATTERLENS_",
        extra="forbid",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
    )

    home: Path = Field(default_factory=default_home)
    """Everything kept: database, files, installed bundles."""
    database_url: str | None = None
    """Such as `postgresql://user@host/name`; empty: a SQLite file in the home."""
    redis_url: str | None = None
    """Celery broker that rings workers; empty: workers look for work themselves."""
    active_models: Annotated[tuple[str, ...], NoDecode] = ()
    """Bundle names, comma-separated; each frame gets one job for each, the first is production.
    Empty = the default bundle."""

    max_body_bytes: int = Field(default=256 * 2**20, gt=0)
    """Bytes of the largest request that brings frames."""
    max_bundle_bytes: int = Field(default=2**30, gt=0)
    """Bytes of a bundle that is sent for registration, packed and unpacked."""
    max_frames: int = Field(default=1000, gt=0)
    """Frames that one submission may name."""
    max_dataset_frames: int = Field(default=50_000, gt=0)
    """Frames that one exported dataset may hold: it is put together before it is sent."""
    max_queue: int = Field(default=100_000, gt=0)
    """Jobs queued or leased beyond which new frames are refused for a while."""
    min_free_share: float = Field(default=0.1, ge=0, lt=1)
    """Free share of the disk under `home` below which new frames are refused."""
    max_render_bytes: int = Field(default=10 * 2**30, ge=0)
    """Bytes of pixels, profiles and gradient maps beyond which those that nobody used for longest
    are removed; they are computed anew when they are asked for."""

    require_confinement: bool = False
    """Decode nothing where the kernel lacks Landlock or seccomp; else health says what it lacks."""

    retain_raw_days: float = Field(default=0.0, ge=0)
    """Days after which the file of a frame that nobody labelled is removed; 0 = never."""
    retain_preview_days: float = Field(default=0.0, ge=0)
    """The same for its preview, which pictures of it are made from."""
    retain_map_days: float = Field(default=0.0, ge=0)
    """The same for the maps of what models saw where; probabilities and tags stay."""

    session_hours: float = Field(default=168.0, gt=0)
    """How long a browser stays logged in; never longer than the key that it logged in by."""

    lease_seconds: float = Field(default=10.0, gt=0)
    """How long a silent worker keeps its jobs."""
    heartbeat_seconds: float = Field(default=3.0, gt=0)
    """How often a worker says that it lives; well below `lease_seconds`."""
    sweep_seconds: float = Field(default=1.0, gt=0)
    """How often a gateway looks for what was forgotten."""
    ring_after_seconds: float = Field(default=2.0, gt=0)
    """Age of a queued job at which workers are rung again."""
    poll_seconds: float = Field(default=0.1, gt=0)
    """How often an embedded worker looks for work."""
    train_after_corrections: int = Field(default=0, ge=0)
    """Newly labelled frames after which a training is started; 0 = never by that."""
    train_every_hours: float = Field(default=0.0, ge=0)
    """Hours after which one is started if anything was labelled; 0 = never by that."""
    drain_seconds: float = Field(default=60.0, gt=0)
    """Longest drain by one bell; then it rings again if rows are left."""

    gate_shards: Path | None = None
    """Folder of simulated test frames (`bench-v1/test`) that the gate measures models on."""
    gate_manifests: Annotated[tuple[Path, ...], NoDecode] = ()
    """Datasets, comma-separated, on whose test frames the gate measures models too."""

    @field_validator("active_models", "gate_manifests", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("home")
    @classmethod
    def _whole(cls, value: Path) -> Path:
        # As the SDK reads it, and the same folder wherever it is looked at from.
        return value.expanduser().absolute()

    @property
    def database(self) -> str:
        """SQLAlchemy address of the ledger."""
        return self.database_url or f"sqlite:///{self.home / 'ledger.sqlite'}"

    @property
    def blob_folder(self) -> Path:
        """Content-addressed files."""
        return self.home / "blobs"

    @property
    def render_folder(self) -> Path:
        """What workers drew when it was asked for: files that can be made anew."""
        return self.home / "renders"

    @property
    def run_folder(self) -> Path:
        """Training runs, `<id>/`."""
        return self.home / "runs"

    @property
    def bundle_folder(self) -> Path:
        """Bundles installed beside the shipped ones, `<name>/`."""
        return self.home / "bundles"

    @property
    def model_folder(self) -> Path:
        """Bundles that were registered, `<version>/`."""
        return self.home / "models"
