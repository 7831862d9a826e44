"""Traces a process: `trace.py stop|hold PID`. `stop` stops it; `hold` waits for nothing."""

import ctypes
import sys
import time

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
what, pid = sys.argv[1], int(sys.argv[2])
if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
    sys.exit(f"ptrace: errno {ctypes.get_errno()}")
if what == "stop":
    libc.ptrace(PTRACE_INTERRUPT, pid, None, None)
print("traced", flush=True)
time.sleep(1000)
