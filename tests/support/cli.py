"""The command line, run in this process as a terminal or a pipe sees it."""

import os
import sys
from collections.abc import Callable

import pytest

from scatterlens.cli import main

RunCli = Callable[..., tuple[int, str, str]]
"""Exit code, stdout and stderr of some arguments."""


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCli:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scatterlens", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", os.environ.get("COLUMNS", "120"))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run
