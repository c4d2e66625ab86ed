"""What a process gives up before it touches a stranger's bytes."""

import contextlib
import ctypes
import os
import resource
import struct

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.seccomp import can_deny_calls, deny_calls

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION_FLAG = 1
# Rights that each version of Landlock knows, as bits: naming one it does not know is an error.
_FILESYSTEM_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK_BITS = 0b11  # bind and connect TCP, since version 4
_SCOPE_BITS = 0b11  # abstract sockets and signals beyond the process, since version 6

_libc = ctypes.CDLL(None, use_errno=True)


class ConfinementError(OSError):
    """This machine cannot confine what decodes, and no less is allowed."""


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def missing_confinement() -> tuple[str, ...]:
    """What this machine lacks to confine a process that decodes wholly; asking changes nothing."""
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION_FLAG)
    missing = {"Landlock": version < 1, "seccomp": not can_deny_calls()}
    return tuple(name for name, lacks in missing.items() if lacks)


def require_confinement() -> None:
    """Raise `ConfinementError` where this machine lacks a means to confine."""
    missing = missing_confinement()
    if missing:
        raise ConfinementError(
            f"files cannot be decoded safely: this kernel has no {' and no '.join(missing)};"
            " use one that has, or allow less by SCATTERLENS_REQUIRE_CONFINEMENT=false"
        )


def confine(limits: DecodeLimits) -> bool:
    """Limit memory, time and rights of this process for good; False where not all of it can be.

    No new files, processes or core dumps; where the kernel has Landlock (5.13 and later) no file
    can be opened and no TCP connection made, and where it has seccomp no file, socket or program
    either, nor another process be touched. File descriptors that are open stay usable.
    """
    for what, soft, hard in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        # At the soft limit comes SIGXCPU, which says why; at the hard one SIGKILL.
        (resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, most = resource.getrlimit(what)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (soft, hard))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return all([give_up_files_and_network(), deny_calls()])


def give_up_files_and_network() -> bool:
    """Enter a Landlock domain without any right; False where the kernel has none."""
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return False
    filesystem = (1 << _FILESYSTEM_BITS[min(version, 5)]) - 1
    rights = [filesystem]
    if version >= 4:
        rights.append(_NETWORK_BITS)
    if version >= 6:
        rights.append(_SCOPE_BITS)
    attributes = struct.pack(f"={len(rights)}Q", *rights)
    ruleset = _libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    entered = _libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return entered
