"""Errors that a user can meet, as one line with a remedy; all others are faults, with a trace."""

import re
import sys
from importlib.metadata import PackageNotFoundError, requires

_PACKAGES = {"sklearn": "scikit-learn", "PIL": "pillow", "onnxruntime": "onnxruntime"}
"""Modules whose distribution has another name."""
_WRONG_USE, _FAILED = 2, 1


def explain(error: BaseException, command: str, extra: str | None) -> tuple[str, int] | None:
    """Return what to tell of an error of a command, and the exit code; None for a fault of ours.

    `extra` is the one that the command is known to need.
    """
    from scatterlens.errors import ApiError, BadArgument, NotAvailable, ScatterlensError

    if isinstance(error, ScatterlensError):
        invalid = isinstance(error, ApiError) and error.status == 422
        wrong = invalid or isinstance(error, NotAvailable | BadArgument)
        return f"{error}", _WRONG_USE if wrong else _FAILED
    if isinstance(error, ModuleNotFoundError) and _is_foreign(error):
        return _missing(error, command, extra), _WRONG_USE
    if type(error).__module__.partition(".")[0].startswith("scatterlens_"):
        # Every class of errors of ours says what happened and what helps.
        return " ".join(map(str, error.args)) or type(error).__name__, _WRONG_USE
    if isinstance(error, OSError):
        return _of_system(error), _FAILED
    if _is_of(error, "sqlalchemy.exc", "SQLAlchemyError"):
        told = str(getattr(error, "orig", None) or error).strip().splitlines()
        return (
            f"The database cannot be used: {told[0] if told else type(error).__name__}. Look at"
            " SCATTERLENS_DATABASE_URL, or at the rights of the home folder."
        ), _WRONG_USE
    return None


def _is_foreign(error: ModuleNotFoundError) -> bool:
    return not (error.name or "scatterlens").startswith("scatterlens")


def _missing(error: ModuleNotFoundError, command: str, extra: str | None) -> str:
    bringing = _extras_with(error.name or "")
    wanted = extra if extra in bringing or not bringing else bringing[0]
    name = f"scatterlens[{wanted}]" if wanted else "scatterlens"
    return (
        f"`scatterlens {command}` needs {error.name!r}, which is not installed. "
        f"Install it with: pip install '{name}'"
    )


def _extras_with(module: str) -> list[str]:
    """Extras of ours that bring a module, the one that brings least first."""
    top = module.partition(".")[0]
    package = _PACKAGES.get(top, top).lower()
    brought: dict[str, list[str]] = {}
    try:
        told = requires("scatterlens") or []
    except PackageNotFoundError:
        told = []
    for line in told:
        requirement, _, marker = line.partition(";")
        found = re.match(r"[\w.-]+", requirement.strip())
        extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if found and extra:
            brought.setdefault(extra[1], []).append(found[0].lower())
    return sorted(
        (one for one in brought if package in brought[one]), key=lambda x: len(brought[x])
    )


def _of_system(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' and '.join(names)}: " if names else ""
    reason = error.strerror or str(error) or type(error).__name__
    remedy = {
        PermissionError: "Ask for the right to it, or name another place.",
        FileNotFoundError: "Check the path.",
        FileExistsError: "Name another place, or take it away first.",
        NotADirectoryError: "Check the path: a part of it is a file.",
        IsADirectoryError: "Name a file.",
    }.get(type(error), "Look at the disk and the path.")
    return f"{where}{reason}. {remedy}"


def _is_of(error: BaseException, module: str, name: str) -> bool:
    """Whether an error is of a class of a library, which is not imported for that."""
    found = sys.modules.get(module)
    return found is not None and isinstance(error, getattr(found, name))
