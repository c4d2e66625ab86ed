"""The command line from outside: what it prints, writes and returns."""

import json
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import EntryPoint

import pytest

from scatterlens.cli import extras
from scatterlens.errors import NotAvailable


@pytest.fixture
def frame(tmp_path):
    file = tmp_path / "lab6.cbf"
    file.write_bytes(b"pixels")
    return file


def serve_one_frame(gateway, *after):
    """Answers to: is anybody there, the upload, the question for the verdict."""
    health = {"status": "ok", "version": "0.1.0", "queued": 0, "leased": 0, "workers": []}
    gateway.say(200, health | {"oldest_queued_seconds": None, "problems": []})
    gateway.say(202, gateway.submission())
    gateway.say(200, gateway.annotation())
    for content in after:
        gateway.say(200, content)


def test_help_lists_every_command(run_cli):
    code, out, _ = run_cli("--help")
    assert code == 0
    named = "annotate explain show watch serve keys worker models datasets synth train transfer"
    named += " evaluate"
    assert [word for word in named.split() if f" {word} " not in out] == []


def test_a_frame_gets_a_table_sorted_by_probability(gateway, run_cli, frame):
    serve_one_frame(gateway)
    code, out, _ = run_cli("annotate", frame)
    assert code == 0
    assert out.index("ring") < out.index("halo")
    assert "0.900" in out
    assert "slim@0123456789ab" in out


def test_json_is_one_object_for_each_frame(gateway, run_cli, frame):
    serve_one_frame(gateway)
    code, out, err = run_cli("annotate", "--json", frame)
    said = json.loads(out)
    assert code == 0
    assert said["file"] == str(frame)
    assert said["frame_id"] == gateway.frame_id
    assert said["state"] == "done"
    assert said["probabilities"] == {"ring": 0.9, "halo": 0.1}
    assert said["tags"] == ["ring"]
    assert "pixels" not in err


def test_a_missing_file_is_reported_with_a_remedy_and_the_others_go_on(
    gateway, run_cli, frame, tmp_path
):
    serve_one_frame(gateway)
    code, out, _ = run_cli("annotate", "--json", tmp_path / "no.cbf", frame)
    missing, done = map(json.loads, out.splitlines())
    assert code == 1
    assert missing["file"] == str(tmp_path / "no.cbf")
    assert missing["reason"]["type"] == "missing"
    assert missing["reason"]["remedy"]
    assert done["tags"] == ["ring"]


def test_a_refused_file_is_a_line_that_says_why(gateway, run_cli, frame):
    serve_one_frame(gateway)
    gateway.answers.pop()
    gateway.answers.pop()
    gateway.refuse(415)
    code, out, _ = run_cli("annotate", frame)
    assert code == 1
    assert "It went wrong. In this way. Do that" in " ".join(out.split())


def test_overlays_are_written_for_the_tags(gateway, run_cli, frame, tmp_path):
    serve_one_frame(gateway, b"png")
    code, _, _ = run_cli("annotate", frame, "--overlays", tmp_path / "out")
    (picture,) = (tmp_path / "out").iterdir()
    assert code == 0
    assert picture.name == f"lab6.cbf.{gateway.frame_id[:8]}.ring.png"
    assert picture.read_bytes() == b"png"


def test_without_a_gateway_it_says_so_once(gateway, run_cli, frame, dead_url):
    code, out, err = run_cli("annotate", "--url", dead_url, frame, frame)
    assert code == 1
    assert out == ""
    assert err.count("scatterlens serve") == 1


def test_a_wrong_key_ends_it_with_the_remedy(gateway, run_cli, frame):
    gateway.refuse(401)
    code, _, err = run_cli("annotate", frame)
    assert code == 1
    assert err.strip() == "Error: It went wrong. In this way. Do that."


def test_ctrl_c_ends_it_although_no_verdict_comes(gateway, frame):
    serve_one_frame(gateway)
    gateway.answers.pop()
    gateway.say(202, gateway.annotation("queued"))
    command = [sys.executable, "-m", "scatterlens", "annotate", str(frame)]
    # A job that a shell put into the background ignores SIGINT, and so would its children.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=listen
    ) as process:
        try:
            ends = time.monotonic() + 60
            while len(gateway.requests) < 4:
                assert time.monotonic() < ends
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()


def test_a_missing_extra_is_named_with_exit_code_2():
    without = "import sys; sys.modules['fastapi'] = sys.modules['sqlalchemy'] = None\n"
    code = f"{without}sys.argv[1:] = ['serve', '--help']\nfrom scatterlens.cli import main; main()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert "pip install 'scatterlens[service]'" in run.stderr


def test_a_fault_of_ours_is_not_blamed_on_a_missing_extra():
    point = EntryPoint("x", "scatterlens.no_such_module:x", "scatterlens.commands")
    with pytest.raises(ModuleNotFoundError):
        extras.load(point, "service", "x")
    other = EntryPoint("x", "no_such_package:x", "scatterlens.commands")
    with pytest.raises(NotAvailable, match=r"scatterlens\[service\]"):
        extras.load(other, "service", "x")


def test_a_training_that_is_not_understood_is_a_wrong_use_of_the_command(gateway, run_cli):
    gateway.refuse(422)
    code, _, err = run_cli("training", "start", "--set", "bacth=8")
    assert code == 2
    assert "In this way. Do that." in err


def test_a_misspelled_option_names_the_right_one(gateway, run_cli):
    code, _, err = run_cli("annotate", "frame.cbf", "--propsal", "p1")
    assert code == 2
    assert "--proposal" in err
    assert gateway.requests == []


HEALTH = {
    "status": "degraded", "version": "0.1.0", "queued": 0, "leased": 0, "workers": [],
    "oldest_queued_seconds": None,
}  # fmt: skip


def full_model(name: str, version: str) -> dict:
    return {
        "name": name, "version": version, "method": "resnet18", "vocabulary": "aam20",
        "input_size": 128, "active": True, "production": True, "attention_names": [],
        "metrics": {"mean_ap": 0.8234},
    }  # fmt: skip


def test_models_are_listed_whole_through_a_pipe_and_as_json(gateway, run_cli, monkeypatch):
    run_cli("models", "--help")  # what is imported takes its width then, for all other tests too
    monkeypatch.setenv("COLUMNS", "40")
    found = [full_model(f"a-long-name-of-a-model-{n}", f"{n}123456789ab") for n in range(2)]
    gateway.say(200, found)
    code, out, _ = run_cli("models", "list")
    assert code == 0
    heads, *lines = [line.split("\t") for line in out.splitlines()]
    assert heads[:2] == ["name", "version"]
    assert [line[:2] for line in lines] == [[one["name"], one["version"]] for one in found]
    _, out, _ = run_cli("models", "list", "--json")
    assert [json.loads(line)["version"] for line in out.splitlines()] == [
        one["version"] for one in found
    ]


def test_what_hinders_an_answer_is_told_before_anybody_waits(gateway, run_cli, tmp_path):
    (tmp_path / "frame.cbf").write_bytes(b"pixels")
    gateway.say(200, HEALTH | {"problems": ["No worker has reported; frames wait until one does."]})
    gateway.say(202, gateway.submission())
    gateway.say(200, gateway.annotation("queued"))
    code, _, err = run_cli("annotate", tmp_path / "frame.cbf", "--wait", "0.2")
    assert code == 1
    assert "The service says: No worker has reported" in err


def test_samples_take_no_file_of_that_name_away(run_cli, tmp_path):
    code, _, _ = run_cli("samples", "--to", tmp_path)
    assert code == 0
    assert run_cli("samples", "--to", tmp_path)[0] == 0  # the same files are no harm
    (tmp_path / "frame.cbf").write_text("mine")
    code, _, err = run_cli("samples", "--to", tmp_path)
    assert code == 2
    assert "frame.cbf is another file" in " ".join(err.split())
    assert (tmp_path / "frame.cbf").read_text() == "mine"
