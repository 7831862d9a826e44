"""A Python program with one thread: asyncio echoes over sockets, checked, beside Popen without wait.

Prints its pid, then OK with the number of answers when its standard input is closed.
"""

import asyncio
import hashlib
import os
import subprocess
import sys
import time

answers = 0
kept = []  # A Popen that is thrown away is waited for by the next one.


def bad(what):
    print("BAD", what, flush=True)
    os._exit(1)


async def serve(reader, writer):
    while data := await reader.readexactly(1000):
        writer.write(hashlib.sha256(data).digest())
        await writer.drain()


async def ask(port, seed):
    global answers
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    n = 0
    while True:
        n += 1
        data = bytes([seed, n % 256]) * 500
        writer.write(data)
        if await reader.readexactly(32) != hashlib.sha256(data).digest():
            bad("wrong answer")
        answers += 1
        before = time.monotonic()
        await asyncio.sleep(0.005)
        slept = time.monotonic() - before
        if not 0.0045 < slept < 5:
            bad(f"slept {slept}")


async def leak():
    while True:
        kept.append(subprocess.Popen(["true"]))
        await asyncio.sleep(0.01)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tasks = [asyncio.create_task(ask(port, seed)) for seed in range(3)]
    tasks.append(asyncio.create_task(leak()))
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(0, lambda: ended.done() or ended.set_result(None))
    print(os.getpid(), flush=True)
    done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if task is not ended:
            bad(task.exception())
    print("OK", answers, "answers", flush=True)
    os._exit(0)


sys.exit(asyncio.run(main()))
