"""The crawler of the story: Selenium and real headless Chromium, several tasks at a time, and
drivers that are given up instead of quit.

    crawler.py TASKS

Serves its own pages on loopback. Prints "page N" for each page that it has read, "EAGAIN" where
nothing more could be started. Each task ends as crawlers' tasks do when they run into their
timeout: driver and browser are killed, and nobody waits for them. As PID 1 it is given the
browser's helpers, too.
"""

import errno
import http.server
import itertools
import os
import signal
import sys
import tempfile
import threading
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"<title>{self.path}</title><p id=p>{self.path}</p>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
threading.Thread(target=server.serve_forever, daemon=True).start()
numbers = itertools.count(1)
# Held on to, as by a list of results: a Popen that is dropped is waited for by the next one.
drivers = []


def crawl():
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", "--disable-extensions"):
        options.add_argument(flag)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options.add_argument(f"--user-data-dir={profile}")
        driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        drivers.append(driver.service.process)
        driver.get(f"http://127.0.0.1:{server.server_port}/{threading.get_ident()}")
        assert driver.find_element(By.ID, "p").text
        print("page", next(numbers), flush=True)
        for pid in (driver.service.process.pid, driver.capabilities["goog:processID"]):
            os.kill(pid, signal.SIGKILL)
        driver.service.process = None


def task():
    while True:
        try:
            crawl()
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            print("EAGAIN", flush=True)
            time.sleep(0.5)
        except Exception as error:  # A browser that did not come up: the next one may.
            print("failed", type(error).__name__, str(error).split("\n")[0], flush=True)
            time.sleep(0.5)


for _ in range(int(sys.argv[1])):
    threading.Thread(target=task, daemon=True).start()
while True:
    time.sleep(3600)
