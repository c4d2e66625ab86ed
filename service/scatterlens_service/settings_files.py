"""Every setting in the files of a deployment, written from the one list that there is.

`python -m scatterlens_service.settings_files` (`make settings`) writes them anew; a test compares.
"""

import re
import textwrap
from pathlib import Path

from scatterlens_service.settings import Settings

REPOSITORY = Path(__file__).parents[2]
_OF_COMPOSE = ("home", "database_url", "redis_url")
"""What `docker-compose.yml` sets itself, as its parts lie where it put them."""
_WRITTEN = "written by `make settings`"


def environment_of_compose() -> str:
    """Lines that hand every other setting on; one that is empty is not set."""
    names = [f"SCATTERLENS_{name.upper()}" for name in Settings.model_fields]
    own = [f"SCATTERLENS_{name.upper()}" for name in _OF_COMPOSE]
    return "".join(f'    {name}: "${{{name}:-}}"\n' for name in names if name not in own)


def example_of_settings(*, of_compose: bool) -> str:
    """Settings as comments, with what they mean and their defaults."""
    names = [name for name in Settings.model_fields if (name in _OF_COMPOSE) == of_compose]
    return "".join(
        textwrap.fill(_meaning(name), 96, initial_indent="# ", subsequent_indent="# ")
        + f"\n#SCATTERLENS_{name.upper()}={_default(name)}\n"
        for name in names
    )


def table_of_settings() -> str:
    """Settings as a table of Markdown."""
    rows = [
        f"| `SCATTERLENS_{name.upper()}` | {_default(name) or '-'} | {_meaning(name)} |\n"
        for name in Settings.model_fields
    ]
    return "".join(["| variable | default | meaning |\n|---|---|---|\n", *rows])


def files_as_they_should_be(repository: Path = REPOSITORY) -> dict[Path, str]:
    """What the files should say; nothing is written."""
    compose, example, page = (
        repository / "docker-compose.yml",
        repository / "deploy" / "env.example",
        repository / "docs" / "how-to" / "deploy.md",
    )
    return {
        compose: _replaced(compose, "settings", environment_of_compose(), "    # {}\n"),
        example: _replaced(
            example, "settings of both", example_of_settings(of_compose=False), "# {}\n"
        ).replace(
            *_part(example, "settings of systemd", example_of_settings(of_compose=True), "# {}\n")
        ),
        page: _replaced(page, "settings", table_of_settings(), "<!-- {} -->\n"),
    }


def _part(file: Path, name: str, lines: str, comment: str) -> tuple[str, str]:
    """What stands between two marks, and what should."""
    begin, end = comment.format(f"{name}: {_WRITTEN}"), comment.format(f"end of {name}")
    found = re.search(
        re.escape(begin) + ".*?" + re.escape(end), file.read_text(encoding="utf-8"), re.DOTALL
    )
    if found is None:
        raise ValueError(f"{file} lacks the lines {begin!r} and {end!r}")
    return found[0], begin + lines + end


def _replaced(file: Path, name: str, lines: str, comment: str) -> str:
    return file.read_text(encoding="utf-8").replace(*_part(file, name, lines, comment))


def _meaning(name: str) -> str:
    return " ".join((Settings.model_fields[name].description or "").split())


def _default(name: str) -> str:
    if name == "home":
        return "/var/lib/scatterlens"
    default = Settings.model_fields[name].default
    if isinstance(default, bool):
        return f"{default}".lower()
    if isinstance(default, float):
        return f"{default:g}"
    return f"{default}" if isinstance(default, int) else ""


if __name__ == "__main__":
    for path, content in files_as_they_should_be().items():
        path.write_text(content, encoding="utf-8")
