"""A filter of system calls for a process that decodes: it opens, runs and calls nothing.

It stands beside Landlock, and is all there is where the kernel has none. Denied calls fail as they
would for want of rights, so readers that try something on the side go on without it.
"""

import ctypes
import errno
import platform
import struct

_PR_SET_SECCOMP = 22
_PR_GET_SECCOMP = 21
_FILTER = 2
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4
_X32_BIT = 0x40000000

# From the kernel's tables of system calls: files, sockets, programs, other processes, the kernel.
_X86_64 = (
    *(2, 85, 257, 304, 437),  # open creat openat open_by_handle_at openat2
    *(76, 82, 83, 84, 86, 87, 88, 90, 92, 94),  # truncate ... rename mkdir link unlink chmod chown
    *(133, 258, 259, 260, 263, 264, 265, 266, 268, 316, 452),  # mknod, and those ending in -at
    *(41, 42, 43, 49, 50, 53, 288),  # socket connect accept bind listen socketpair accept4
    *(59, 322),  # execve execveat
    *(62, 101, 310, 311, 424, 434, 438),  # kill ptrace process_vm_* pidfd_*
    *(155, 161, 165, 166, 272, 308, 428, 429, 430, 432),  # roots, mounts, namespaces
    *(175, 176, 246, 313, 320, 321, 298, 323, 248, 249, 250),  # modules bpf perf keys ...
    *(425, 426, 427),  # io_uring_*
)
_AARCH64 = (
    *(56, 265, 437),
    *(33, 34, 35, 36, 37, 38, 45, 53, 54, 276, 452),
    *(198, 199, 200, 201, 202, 203, 242),
    *(221, 281),
    *(117, 129, 270, 271, 424, 434, 438),
    *(39, 40, 41, 51, 97, 268, 428, 429, 430, 432),
    *(104, 105, 106, 217, 218, 219, 241, 273, 280, 282, 294),
    *(425, 426, 427),
)
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
"""What the kernel calls the machine, and the numbers of its calls that are denied."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def can_deny_calls() -> bool:
    """Whether this kernel filters calls, and its machine is one whose calls are known here."""
    return platform.machine() in _MACHINES and _libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0


def deny_calls() -> bool:
    """Deny this process the calls above for good; False where that cannot be.

    It must have given up to gain rights (`PR_SET_NO_NEW_PRIVS`).
    """
    if not can_deny_calls():
        return False
    program = _program(*_MACHINES[platform.machine()])
    told = _Program(len(program) // 8, program)
    return _libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(told), 0, 0) == 0


def _program(machine: int, denied: tuple[int, ...]) -> bytes:
    """Berkeley packet filter over a call: another machine's kills, those denied fail."""
    most = len(denied)
    steps = (
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        # Each jumps over the steps after it and over the return that allows. Calls of another
        # size of pointers have numbers of their own, beyond those that are listed.
        (_AT_LEAST, most + 1, 0, _X32_BIT),
        *((_EQUAL, most - at, 0, number) for at, number in enumerate(denied)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
