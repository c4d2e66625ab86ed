"""Login sessions on each database: how they end, also in a race."""

import threading
import time

from sqlalchemy import text

from scatterlens_service import ledger


def new_key(engine, **options) -> str:
    with ledger.writing(engine) as session:
        return ledger.create_key(session, "ada", **options)


def log_in(session, key: str, seconds: float = 60.0) -> str | None:
    holder = ledger.authenticate(session, key, hold=True)
    return None if holder is None else ledger.open_session(session, holder, seconds)


def caller_of(engine, token: str | None) -> ledger.Principal | None:
    assert token is not None
    with ledger.reading(engine) as session:
        return ledger.find_session(session, token)


def test_a_session_is_who_logged_in_until_it_ends(engine):
    key = new_key(engine, role="trainer", scopes=["results:read"], proposal="p", beamline="b")
    with ledger.writing(engine) as session:
        first, second = log_in(session, key), log_in(session, key)
    caller = caller_of(engine, first)
    assert caller is not None
    said = (caller.name, caller.role, caller.proposal, caller.beamline)
    assert said == ("ada", "trainer", "p", "b")
    assert caller.scopes == {"results:read"}
    assert caller.expires is not None
    assert abs(caller.expires.timestamp() - time.time() - 60) < 5
    assert caller_of(engine, f"{first}x") is None
    with ledger.writing(engine) as session:
        ledger.end_session(session, caller.session or "")
    assert caller_of(engine, first) is None
    assert caller_of(engine, second) is not None


def test_a_session_ends_with_its_key_at_the_latest(engine):
    key = new_key(engine, days=1)
    with ledger.writing(engine) as session:
        token = log_in(session, key, seconds=1e6)
    caller = caller_of(engine, token)
    assert caller is not None
    assert caller.expires is not None
    assert abs(caller.expires.timestamp() - time.time() - 86_400) < 5


def test_expired_sessions_are_nobody_and_are_cleared(engine):
    key = new_key(engine)
    with ledger.writing(engine) as session:
        old, new = log_in(session, key, 0.0), log_in(session, key)
    assert caller_of(engine, old) is None
    with ledger.writing(engine) as session:
        assert ledger.has_expired_sessions(session)
        ledger.clear_sessions(session)
        assert not ledger.has_expired_sessions(session)
    assert caller_of(engine, new) is not None


def test_revoking_a_key_ends_its_sessions_and_no_others(engine):
    key, other = new_key(engine), new_key(engine)
    with ledger.writing(engine) as session:
        token, kept = log_in(session, key), log_in(session, other)
        assert ledger.revoke_key(session, key.split("_")[1])
    assert caller_of(engine, token) is None
    assert caller_of(engine, kept) is not None


def test_a_key_revoked_while_somebody_logs_in_leaves_no_session(engine):
    key = new_key(engine)
    key_id = key.split("_")[1]

    def revoke() -> None:
        with ledger.writing(engine) as session:
            ledger.revoke_key(session, key_id)

    revoking = threading.Thread(target=revoke)
    with ledger.writing(engine) as session:
        token = log_in(session, key)
        revoking.start()
        revoking.join(0.5)
        assert revoking.is_alive(), "the revocation must wait for the login"
    revoking.join(20)
    assert caller_of(engine, token) is None
    with ledger.writing(engine) as session:
        assert log_in(session, key) is None
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sessions")) == 0
