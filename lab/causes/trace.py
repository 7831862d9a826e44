"""Traces a process: `trace.py stop|hold PID`. `stop` stops it; `hold` waits for nothing.

From a thread of its own, so that `TracerPid` is the id of a thread and not of the process.
"""

import ctypes
import sys
import threading
import time

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def trace(what, pid):
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        print(f"ptrace: errno {ctypes.get_errno()}", flush=True)
        return
    if what == "stop":
        libc.ptrace(PTRACE_INTERRUPT, pid, None, None)
    print("traced", flush=True)
    time.sleep(1000)


threading.Thread(target=trace, args=(sys.argv[1], int(sys.argv[2]))).start()
