"""The leak of the story in Python: subprocess.Popen, kept and never waited for.

    main.py COUNT INTERVAL_MS

Prints "N ok" or "N EAGAIN" for every child. The first COUNT are never waited for (0: none is);
after those it starts one every 100 ms and waits for it.
"""

import errno
import subprocess
import sys
import time

count, interval = int(sys.argv[1]), int(sys.argv[2]) / 1000
# Popen objects that are dropped are waited for by the next Popen; kept ones are not, as in a
# crawler that holds on to its drivers.
kept = []
n = 0
while True:
    n += 1
    try:
        child = subprocess.Popen(["/bin/true"])
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        print(n, "EAGAIN", flush=True)
        time.sleep(0.05)
        continue
    print(n, "ok", flush=True)
    if count == 0 or len(kept) < count:
        kept.append(child)
        time.sleep(interval)
    else:
        child.wait()
        time.sleep(0.1)
