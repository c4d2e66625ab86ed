"""The ledger: the one truth about frames, jobs, annotations, keys and events.

How to use it::

    engine = open_engine(settings.database)      # once per process; dispose() at the end
    migrate_engine(engine)                       # scatterlens_service.migrations
    with writing(engine) as session:             # commits at the end, rolls back on an exception
        answers = submit(session, frames, sender, models)
    with reading(engine) as session:             # one state of the ledger, blocks nobody
        page = list_frames(session, FrameFilter(), production=version)

Transaction rules: one request or task opens one `writing` block; everything inside happens or
nothing does. Functions that write need a session from `writing` (SQLite would otherwise fail
under load), functions that read take either. Functions never commit. Calls block: keep them off
the event loop. Put files into the blob store *before* the transaction that names them; acknowledge
and ring the bell *after* it.

- taking in: `submit` `queue_jobs` (adds a model: `?model=`) `remember_request` (`Idempotency-Key`)
  `queue_render` (a picture that needs the pixels) `queue_render_anew`
- working: `lease` `has_queued` `heartbeat` `complete` `complete_render` `fail` `crashed` `release`
  `abandon` `forget_worker`
- watching over: `sweep` `has_expired` `lose_workers` `renew_leases` `queues_to_ring` `queue_status`
  `seen_workers` (`scatterlens_service.tending.sweeping.sweep_forever` does it all in a thread)
- searching: `parse_query` `list_frames` `count_frames` `features_after` `list_scans`
  `find_scan` `scan_timeline` `save_search` `list_searches` `delete_search`
- reading: `get_frame` `read_again` `frames_within` `places_of` `get_annotation`
  `annotations_of` `all_annotations` `get_render` `models_of` `asked_versions` `job_states`
- telling what a frame is: `describe` `metadata_history` (and `submit`)
- judging: `put_labels` `hold_labels` `newest_label` `current_labels` `labels_of`
  `label_history` `export_labels` `export_page` `list_review` `count_review`
- training: `queue_run` `queue_run_by_policy` `is_run_due` `lease_run` `has_queued_run`
  `advance_run` `complete_run` `refuse_run` `crash_run` `cancel_run` `get_run` `list_runs`
  `open_runs` `run_metrics`
- telling: `events_after` `last_event_id`
- models: `add_model` `get_model` `list_models` `put_gate` `get_aliases` `put_alias` `active_models`
  `hold_production` `add_promotion` `promotions` `version_before` `open_versions`
  `compare_models`
- looking again: `request_reannotation` `list_reannotations` `has_reannotations` `queue_old_frames`
- deleting: `delete_frame` `find_tombstone` `list_tombstones`; files that go with rows:
  `add_removals` `has_removals` `take_removals` under `own_files`, `share_files`
- keeping for a while: `old_files` `count_old_files` `remove_raw` `is_raw_removed` `old_annotations`
  `count_old_annotations` `replace_arrays`
- belonging to a home: `read_owner` `put_owner`
- running it: `backlogs` `count_troubled` `list_jobs` `get_job` `retry_jobs`
- keys: `create_key` `authenticate` `get_key` `list_keys` `revoke_key`
- logging in: `open_session` `find_session` `end_session` `has_expired_sessions` `clear_sessions`
  `is_still_valid` `record_use`

`sees=` takes the `Principal` from `authenticate`; rows it may not see do not exist. Annotations and
labels of one frame are not filtered by it: ask `get_frame(..., sees=...)` first. Records
(`records.py`) are frozen and have the wire's names. SQLAlchemy's `OperationalError` means the
database is away or full: answer 503.
"""

from scatterlens_service.ledger.annotations import (
    all_annotations,
    annotations_of,
    asked_versions,
    get_annotation,
    get_render,
    models_of,
)
from scatterlens_service.ledger.backlog import (
    Backlog,
    backlogs,
    count_troubled,
    queue_status,
)
from scatterlens_service.ledger.clock import read_clock
from scatterlens_service.ledger.comparison import COMPARED, ComparisonRow, compare_models
from scatterlens_service.ledger.deletion import (
    LabelledError,
    TombstoneRow,
    delete_frame,
    find_tombstone,
    list_tombstones,
)
from scatterlens_service.ledger.engine import open_engine, reading, writing
from scatterlens_service.ledger.events import events_after, last_event_id
from scatterlens_service.ledger.features import FeatureRows, features_after
from scatterlens_service.ledger.findings import unpack_probability
from scatterlens_service.ledger.frames import (
    frames_within,
    get_frame,
    get_frames,
    places_of,
    read_again,
)
from scatterlens_service.ledger.jobs import (
    abandon,
    complete,
    complete_render,
    crashed,
    fail,
    has_endless_leases,
    has_expired,
    has_queued,
    heartbeat,
    lease,
    lose_workers,
    queues_to_ring,
    release,
    renew_leases,
    sweep,
)
from scatterlens_service.ledger.keys import (
    DEFAULT_DAYS,
    ROLES,
    SCOPES,
    BadKeyError,
    KeyRow,
    LastAdminError,
    authenticate,
    create_key,
    get_key,
    list_keys,
    revoke_key,
)
from scatterlens_service.ledger.label_export import export_page, to_label
from scatterlens_service.ledger.labels import (
    Judgement,
    LabelRow,
    current_labels,
    export_labels,
    hold_labels,
    label_history,
    labels_of,
    newest_label,
    put_labels,
)
from scatterlens_service.ledger.metadata import (
    FrameTakenError,
    MetadataChangeRow,
    describe,
    metadata_history,
)
from scatterlens_service.ledger.models import (
    CANDIDATE,
    DEFAULT,
    PRODUCTION,
    ModelRow,
    NewModel,
    PromotionRow,
    active_models,
    add_model,
    add_promotion,
    asked_before,
    get_aliases,
    get_model,
    hold_production,
    list_models,
    open_versions,
    promotions,
    put_alias,
    put_gate,
    version_before,
)
from scatterlens_service.ledger.owner import Owner, put_owner, read_owner
from scatterlens_service.ledger.progress import COUNTED, ReviewCount, count_review
from scatterlens_service.ledger.query import (
    BadFilterError,
    Both,
    Bound,
    Condition,
    Known,
    Not,
    parse_query,
)
from scatterlens_service.ledger.reannotations import (
    ReannotationRow,
    has_reannotations,
    list_reannotations,
    queue_old_frames,
    request_reannotation,
)
from scatterlens_service.ledger.records import (
    EventRow,
    FrameRow,
    FrameRows,
    Lease,
    LeasedJob,
    LeasedRun,
    ModelVersion,
    NewAnnotation,
    NewFrame,
    NewRun,
    Place,
    Principal,
    QueueStatus,
    RunRow,
    SeenWorker,
    Sender,
    StoredAnnotation,
    StoredRender,
    Submitted,
    WorkerReport,
    WorkerRole,
)
from scatterlens_service.ledger.removals import (
    BLOBS,
    RENDERS,
    add_removals,
    has_removals,
    own_files,
    share_files,
    take_removals,
)
from scatterlens_service.ledger.retention import (
    OldAnnotation,
    OldFile,
    Part,
    count_old_annotations,
    count_old_files,
    is_raw_removed,
    old_annotations,
    old_files,
    remove_raw,
    replace_arrays,
)
from scatterlens_service.ledger.retries import JobRow, Troubled, get_job, list_jobs, retry_jobs
from scatterlens_service.ledger.review import (
    Doubt,
    ReviewRow,
    ReviewRows,
    list_review,
)
from scatterlens_service.ledger.runs import (
    advance_run,
    cancel_run,
    complete_run,
    crash_run,
    get_run,
    has_queued_run,
    is_run_due,
    lease_run,
    list_runs,
    open_runs,
    queue_run,
    queue_run_by_policy,
    refuse_run,
    run_metrics,
)
from scatterlens_service.ledger.saved import (
    SavedSearchRow,
    SearchExistsError,
    delete_search,
    list_searches,
    save_search,
)
from scatterlens_service.ledger.scans import (
    AmbiguousScanError,
    ScanRow,
    ScanRows,
    TimelinePoint,
    find_scan,
    list_scans,
    scan_timeline,
)
from scatterlens_service.ledger.search import (
    NEWEST,
    FrameFilter,
    Order,
    count_frames,
    list_frames,
)
from scatterlens_service.ledger.sessions import (
    clear_sessions,
    end_session,
    end_session_of,
    find_session,
    has_expired_sessions,
    is_still_valid,
    open_session,
    record_use,
)
from scatterlens_service.ledger.submissions import (
    BATCH,
    LIVE,
    QUEUES,
    RENDER,
    TRAIN,
    IdempotencyConflictError,
    job_states,
    queue_jobs,
    queue_render,
    queue_render_anew,
    remember_request,
    submit,
)
from scatterlens_service.ledger.workers import forget_worker, seen_workers

__all__ = [
    "BATCH",
    "BLOBS",
    "CANDIDATE",
    "COMPARED",
    "COUNTED",
    "DEFAULT",
    "DEFAULT_DAYS",
    "LIVE",
    "NEWEST",
    "PRODUCTION",
    "QUEUES",
    "RENDER",
    "RENDERS",
    "ROLES",
    "SCOPES",
    "TRAIN",
    "AmbiguousScanError",
    "Backlog",
    "BadFilterError",
    "BadKeyError",
    "Both",
    "Bound",
    "ComparisonRow",
    "Condition",
    "Doubt",
    "EventRow",
    "FeatureRows",
    "FrameFilter",
    "FrameRow",
    "FrameRows",
    "FrameTakenError",
    "IdempotencyConflictError",
    "JobRow",
    "Judgement",
    "KeyRow",
    "Known",
    "LabelRow",
    "LabelledError",
    "LastAdminError",
    "Lease",
    "LeasedJob",
    "LeasedRun",
    "MetadataChangeRow",
    "ModelRow",
    "ModelVersion",
    "NewAnnotation",
    "NewFrame",
    "NewModel",
    "NewRun",
    "Not",
    "OldAnnotation",
    "OldFile",
    "Order",
    "Owner",
    "Part",
    "Place",
    "Principal",
    "PromotionRow",
    "QueueStatus",
    "ReannotationRow",
    "ReviewCount",
    "ReviewRow",
    "ReviewRows",
    "RunRow",
    "SavedSearchRow",
    "ScanRow",
    "ScanRows",
    "SearchExistsError",
    "SeenWorker",
    "Sender",
    "StoredAnnotation",
    "StoredRender",
    "Submitted",
    "TimelinePoint",
    "TombstoneRow",
    "Troubled",
    "WorkerReport",
    "WorkerRole",
    "abandon",
    "active_models",
    "add_model",
    "add_promotion",
    "add_removals",
    "advance_run",
    "all_annotations",
    "annotations_of",
    "asked_before",
    "asked_versions",
    "authenticate",
    "backlogs",
    "cancel_run",
    "clear_sessions",
    "compare_models",
    "complete",
    "complete_render",
    "complete_run",
    "count_frames",
    "count_old_annotations",
    "count_old_files",
    "count_review",
    "count_troubled",
    "crash_run",
    "crashed",
    "create_key",
    "current_labels",
    "delete_frame",
    "delete_search",
    "describe",
    "end_session",
    "end_session_of",
    "events_after",
    "export_labels",
    "export_page",
    "fail",
    "features_after",
    "find_scan",
    "find_session",
    "find_tombstone",
    "forget_worker",
    "frames_within",
    "get_aliases",
    "get_annotation",
    "get_frame",
    "get_frames",
    "get_job",
    "get_key",
    "get_model",
    "get_render",
    "get_run",
    "has_endless_leases",
    "has_expired",
    "has_expired_sessions",
    "has_queued",
    "has_queued_run",
    "has_reannotations",
    "has_removals",
    "heartbeat",
    "hold_labels",
    "hold_production",
    "is_raw_removed",
    "is_run_due",
    "is_still_valid",
    "job_states",
    "label_history",
    "labels_of",
    "last_event_id",
    "lease",
    "lease_run",
    "list_frames",
    "list_jobs",
    "list_keys",
    "list_models",
    "list_reannotations",
    "list_review",
    "list_runs",
    "list_scans",
    "list_searches",
    "list_tombstones",
    "lose_workers",
    "metadata_history",
    "models_of",
    "newest_label",
    "old_annotations",
    "old_files",
    "open_engine",
    "open_runs",
    "open_session",
    "open_versions",
    "own_files",
    "parse_query",
    "places_of",
    "promotions",
    "put_alias",
    "put_gate",
    "put_labels",
    "put_owner",
    "queue_jobs",
    "queue_old_frames",
    "queue_render",
    "queue_render_anew",
    "queue_run",
    "queue_run_by_policy",
    "queue_status",
    "queues_to_ring",
    "read_again",
    "read_clock",
    "read_owner",
    "reading",
    "record_use",
    "refuse_run",
    "release",
    "remember_request",
    "remove_raw",
    "renew_leases",
    "replace_arrays",
    "request_reannotation",
    "retry_jobs",
    "revoke_key",
    "run_metrics",
    "save_search",
    "scan_timeline",
    "seen_workers",
    "share_files",
    "submit",
    "sweep",
    "take_removals",
    "to_label",
    "unpack_probability",
    "version_before",
    "writing",
]
