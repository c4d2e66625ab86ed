"""A watched folder: every complete file is sent, once, whatever happens in between."""

import threading
from contextlib import contextmanager

import pytest

from scatterlens import Client
from scatterlens.errors import FrameRejected, TransportError, Unauthorized
from scatterlens.journal import Journal, Stamp, journal_path
from scatterlens.watching import FolderWatch, Rules
from support.waiting import holds, wait_until

SETTLE = 0.3


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


class Watching:
    """A watch that runs in a thread, and what it said."""

    def __init__(self, folder, journal, url, **rules):
        self.told = []
        self.error = None
        self._stop = threading.Event()
        self._client = Client(url, retry_s=0)
        self._journal = Journal(journal)
        self._watch = FolderWatch(
            folder,
            Rules(**{"settle_s": SETTLE, **rules}),
            self._journal,
            self._client.submit,
            lambda path, outcome: self.told.append((path.name, outcome)),
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self._watch.run(self._stop)
        except Exception as error:
            self.error = error

    def end(self):
        self._stop.set()
        self._thread.join()
        self._journal.__exit__()
        self._client.close()


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def watching(folder, journal, gateway):
    @contextmanager
    def start(url=None, **rules):
        watch = Watching(folder, journal, url or gateway.url, **rules)
        try:
            yield watch
        finally:
            watch.end()

    return start


def bodies(gateway):
    return [request.body for request in gateway.requests]


@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
def test_files_there_before_and_files_that_come_are_sent(gateway, folder, watching, polling):
    gateway.say(202, gateway.submission())
    (folder / "before.cbf").write_bytes(b"before")
    with watching(polling=polling):
        wait_until(lambda: bodies(gateway) == [b"before"])
        (folder / "after.cbf").write_bytes(b"after")
        wait_until(lambda: bodies(gateway) == [b"before", b"after"])


def test_a_file_written_in_chunks_is_sent_when_it_is_whole(gateway, folder, watching):
    gateway.say(202, gateway.submission())
    # So long that no pause of a busy machine is taken for the end of the file.
    with watching(settle_s=3.0), (folder / "slow.cbf").open("wb") as file:
        for _ in range(8):
            file.write(b"chunk")
            file.flush()
            assert holds(lambda: bodies(gateway) == [], SETTLE / 3)
        wait_until(lambda: bodies(gateway) == [b"chunk" * 8])


def test_a_file_that_grows_after_a_long_pause_is_sent_again(gateway, folder, watching):
    gateway.say(202, gateway.submission())
    with watching(), (folder / "stalled.cbf").open("wb") as file:
        file.write(b"half")
        file.flush()
        wait_until(lambda: bodies(gateway) == [b"half"])
        file.write(b" and half")
        file.flush()
        wait_until(lambda: bodies(gateway) == [b"half", b"half and half"])


def test_a_file_renamed_into_place_is_sent_under_its_name_alone(gateway, folder, watching):
    gateway.say(202, gateway.submission())
    with watching() as watch:
        for partial in (".frame.cbf.x7", "frame.cbf.part"):
            (folder / partial).write_bytes(partial.encode())
        assert holds(lambda: bodies(gateway) == [], 3 * SETTLE)
        (folder / "frame.cbf.part").rename(folder / "frame.cbf")
        wait_until(lambda: watch.told)
    assert [name for name, _ in watch.told] == ["frame.cbf"]
    assert bodies(gateway) == [b"frame.cbf.part"]


def test_an_empty_file_waits_until_there_is_something_in_it(gateway, folder, watching):
    gateway.say(202, gateway.submission())
    with watching():
        (folder / "created.cbf").touch()
        assert holds(lambda: bodies(gateway) == [], 3 * SETTLE)
        (folder / "created.cbf").write_bytes(b"pixels")
        wait_until(lambda: bodies(gateway) == [b"pixels"])


def test_a_restart_sends_what_came_meanwhile_and_nothing_twice(gateway, folder, watching):
    gateway.say(202, gateway.submission())
    (folder / "a.cbf").write_bytes(b"a")
    with watching() as watch:
        wait_until(lambda: watch.told)
    (folder / "b.cbf").write_bytes(b"b")
    with watching() as watch:
        wait_until(lambda: watch.told)
        assert holds(lambda: bodies(gateway) == [b"a", b"b"], 3 * SETTLE)


def test_nothing_is_lost_while_the_gateway_is_away(gateway, folder, watching, dead_url):
    gateway.say(202, gateway.submission())
    (folder / "a.cbf").write_bytes(b"a")
    with watching(dead_url) as watch:
        wait_until(lambda: watch.told)
        assert holds(lambda: len(watch.told) == 1, 3 * SETTLE)
    (told,) = watch.told  # said once, not at each try
    assert isinstance(told[1], TransportError)
    with watching() as watch:
        wait_until(lambda: watch.told)
    assert bodies(gateway) == [b"a"]


def test_a_busy_gateway_gets_the_file_later(gateway, folder, watching):
    gateway.refuse(503, Retry_After="0.2")
    gateway.refuse(503, Retry_After="0.2")
    gateway.say(202, gateway.submission())
    (folder / "a.cbf").write_bytes(b"a")
    with watching() as watch:
        wait_until(lambda: watch.told and isinstance(watch.told[-1][1], list))
    assert bodies(gateway) == [b"a"] * 3


def test_a_refused_file_is_told_once_and_does_not_stop_the_others(gateway, folder, watching):
    gateway.refuse(415)
    gateway.say(202, gateway.submission())
    (folder / "a.txt").write_bytes(b"notes")
    with watching() as watch:
        wait_until(lambda: watch.told)
        (folder / "b.cbf").write_bytes(b"b")
        wait_until(lambda: len(watch.told) == 2)
        assert holds(lambda: len(watch.told) == 2, 2 * SETTLE)
    assert isinstance(watch.told[0][1], FrameRejected)
    assert bodies(gateway) == [b"notes", b"b"]


def test_a_wrong_key_ends_the_watch_and_marks_nothing_as_sent(gateway, folder, watching, journal):
    gateway.refuse(401)
    (folder / "a.cbf").write_bytes(b"a")
    with watching() as watch:
        wait_until(lambda: watch.error)
    assert isinstance(watch.error, Unauthorized)
    with Journal(journal) as kept:
        assert len(kept) == 0


def test_only_names_that_fit_are_sent_and_subfolders_when_asked(gateway, folder, watching):
    gateway.say(202, gateway.submission())
    (folder / "run1").mkdir()
    (folder / "run1" / "a.cbf").write_bytes(b"deep")
    (folder / "b.txt").write_bytes(b"notes")
    (folder / "c.cbf").write_bytes(b"flat")
    with watching(pattern="*.cbf") as watch:
        wait_until(lambda: watch.told)
        assert holds(lambda: bodies(gateway) == [b"flat"], 2 * SETTLE)
    with watching(pattern="*.cbf", recursive=True) as watch:
        wait_until(lambda: watch.told)
        (folder / "run2").mkdir()
        (folder / "run2" / "d.cbf").write_bytes(b"new")
        wait_until(lambda: len(watch.told) == 2)
    assert bodies(gateway) == [b"flat", b"deep", b"new"]


def test_a_torn_last_line_of_the_journal_harms_nothing(tmp_path):
    stamps = [Stamp(name, 1, 2) for name in ("a", "b", "c")]
    path = journal_path(tmp_path, tmp_path, "http://gateway")
    with Journal(path) as journal:
        journal.add(stamps[0])
        journal.add(stamps[1])
    path.write_bytes(path.read_bytes()[:-5])
    with Journal(path) as journal:
        journal.add(stamps[2])
    with Journal(path) as journal:
        assert [stamp in journal for stamp in stamps] == [True, False, True]


def test_another_purpose_has_another_journal(tmp_path):
    one, same, other = (
        journal_path(tmp_path, tmp_path / "x", "http://gateway", proposal)
        for proposal in ("p1", "p1", "p2")
    )
    assert one == same != other
