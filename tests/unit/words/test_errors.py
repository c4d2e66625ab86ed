"""What a user can meet is said in one line with its remedy: never a traceback."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from scatterlens.cli import LazyCommands, app
from scatterlens_models.bundle import shipped_bundles

SHIPPED = next(iter(shipped_bundles().values()))


def assert_said(found: tuple[int, str, str], *words: str) -> None:
    code, out, err = found
    said = " ".join(f"{out} {err}".split())
    assert code in (1, 2), said
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


@pytest.fixture
def a_file(tmp_path) -> Path:
    """A file where a folder is wanted: nothing can be made below it, not even by root."""
    file = tmp_path / "a file"
    file.write_text("no folder")
    return file


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--port", "0"),
        ("worker",),
        ("keys", "list"),
        ("keys", "create", "--name", "me"),
        ("keys", "revoke", "abc"),
        ("gate", "0123456789ab"),
        ("watch", "."),
    ],
    ids=" ".join,
)
def test_a_home_that_cannot_be_written_is_said(run_cli, monkeypatch, a_file, command):
    monkeypatch.setenv("SCATTERLENS_HOME", str(a_file / "home"))
    assert_said(run_cli(*command), "home")


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",), ("keys", "list")])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_QUEUE", "many"),
        ("LEASE_SECONDS", "-1"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none"),
        ("DATABASE_URL", "oracle://x"),
        ("ACTIVE_MODELS", "no-such-model"),
    ],
)
def test_a_setting_that_cannot_be_is_said(run_cli, monkeypatch, command, name, value):
    if name == "ACTIVE_MODELS" and command[0] == "keys":
        return  # keys need no model
    monkeypatch.setenv(f"SCATTERLENS_{name}", value)
    assert_said(run_cli(*command))


def test_the_setting_is_named(run_cli, monkeypatch):
    monkeypatch.setenv("SCATTERLENS_MAX_QUEUE", "many")
    assert_said(run_cli("serve"), "SCATTERLENS_MAX_QUEUE", "integer")


def test_a_ledger_that_is_no_database_is_said(run_cli, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ledger.sqlite").write_text("these are my notes, " * 100)
    for command in (("keys", "list"), ("serve", "--port", "0"), ("worker",)):
        assert_said(run_cli(*command))


@pytest.mark.parametrize(
    "command",
    [
        ("models", "verify", "nowhere"),
        ("models", "gate", "nowhere", "--against", "slim-aam", "--shards", "nowhere"),
        ("models", "shrink", "nowhere", "out", "--shards", "nowhere"),
        ("models", "register", "nowhere"),
        ("evaluate", "nowhere", "--shards", "nowhere"),
        ("evaluate", "slim-aam", "--shards", "nowhere"),
        ("train", "slim-resnet18", "--run", "run", "--shards", "nowhere"),
        ("train", "slim-resnet81", "--run", "run", "--shards", "nowhere"),
        ("transfer", "nowhere", "--labels", "labels.csv", "--frames", ".", "--bundle", "mine"),
        ("synth", "frames", "a file/below"),
        ("synth", "build", "--split", "bench-v9", "--out", "out"),
        ("synth", "stats", "nowhere"),
        ("synth", "sheet", "a file/sheet.png", "--frames", "1"),
        ("datasets", "show", "nowhere.jsonl"),
        ("datasets", "import", "csv", "labels.csv", "--vocabulary", "aam99", "--out", "o.jsonl"),
        ("reproduce", "aam-fashion", "--data", "nowhere"),
        ("explain", "nowhere.cbf"),
        ("explain", "notes.txt", "--model", "nowhere"),
        ("show", "nowhere.cbf"),
        ("show", "notes.txt"),
        ("annotate", "--local", "nowhere.cbf"),
        ("annotate", "--local", "notes.txt"),
        ("annotate", "--local", "notes.txt", "--model", "nowhere"),
        ("annotate", "--url", "nonsense", "notes.txt"),
        ("annotate", "--url", "http://127.0.0.1:1", "notes.txt"),
        ("annotate", "--url", "http://[", "notes.txt"),
        ("annotate", "--key", "Schlüssel", "--url", "http://127.0.0.1:1", "notes.txt"),
        ("models", "list", "--url", "http://127.0.0.1:1"),
        ("training", "start", "--url", "http://127.0.0.1:1", "--set", "batch=many=1"),
        ("backup", "a file/below.zip"),
        ("restore", "notes.txt"),
        ("restore", "nowhere"),
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_done_says_why(run_cli, monkeypatch, tmp_path, a_file, command):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no frame at all")
    Path("labels.csv").write_text("file,ring\nnowhere.cbf,1\n")
    assert_said(run_cli(*command))


def test_a_bundle_without_its_files_is_said(run_cli, tmp_path):
    (tmp_path / "bundle.json").write_text("{}")
    for command in (("models", "verify", tmp_path), ("models", "register", tmp_path)):
        assert_said(run_cli(*command, *(["--url", "http://127.0.0.1:1"] * ("register" in command))))


WITHOUT_TRAINING = """
import sys
TRAINING = {"torch", "onnx", "onnxscript", "safetensors", "sklearn", "tensorboardX", "matplotlib",
            "threadpoolctl"}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in TRAINING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def commands() -> list[tuple[str, ...]]:
    """Every command that there is, with those below it."""
    group = get_command(app)
    assert isinstance(group, LazyCommands)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(None):
        _, command, _ = group.resolve_command(None, [name])
        below = getattr(command, "commands", {})
        found += [(name,), *((name, one) for one in below)]
    return found


SCRIPT = """
import contextlib, io, json, sys
from scatterlens.cli import main
for words in json.loads(sys.stdin.read()):
    sys.argv[1:] = [*words, "--help"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main()
    except SystemExit as ended:
        if ended.code:
            print(words, ended.code, said.getvalue())
"""


def in_python_without_training(script: str, sent: str = "") -> str:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRAINING + script],
        input=sent,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_every_command_tells_its_help_without_what_trains():
    import json

    every = commands()
    assert len(every) > 50
    assert in_python_without_training(SCRIPT, json.dumps(every)) == ""


def test_bundles_are_checked_and_methods_listed_without_what_trains():
    script = "import sys\nfrom scatterlens.cli import main\nsys.argv[1:] = {words!r}\nmain()"
    said = in_python_without_training(script.format(words=["models", "verify", str(SHIPPED)]))
    assert "every file is the one that was sealed" in said
    said = in_python_without_training(script.format(words=["models", "methods"]))
    assert "resnet18" in said


@pytest.mark.parametrize(
    "command",
    [
        ["trainer"],
        ["train", "slim-resnet18", "--run", "r", "--shards", "s"],
        ["synth", "frames", "out"],
    ],
    ids=" ".join,
)
def test_what_needs_training_names_its_extra_to_the_letter(command, tmp_path):
    script = WITHOUT_TRAINING + (
        f"from scatterlens.cli import main\nsys.argv[1:] = {command!r}\nmain()"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 2
    assert "pip install 'scatterlens[train]'" in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr


def test_no_text_of_the_command_line_is_read_as_markup():
    """A bracket in a name or an error is printed, not swallowed: `scatterlens[train]`."""
    import ast

    walked = 0
    for package in ("scatterlens", "scatterlens_models", "scatterlens_service"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        for path in Path(str(spec.origin)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(getattr(node, "func", None), "id", None)
                if name in ("Console", "TextColumn"):
                    told = {one.arg: ast.unparse(one.value) for one in node.keywords}
                    assert told.get("markup") == "False", f"{path}:{node.lineno}"
                    walked += 1
    assert walked > 20
