# SPDX-License-Identifier: BSD-3-Clause
"""A line on stderr that shows what takes long."""

import shutil
import sys
import threading
import time

PATIENCE = 2        # seconds before anything is shown
PAUSE = 15          # seconds between lines where stderr is no terminal


class Progress:
    """with Progress('unit') as progress: ...; progress.tell('3/40 test_buffer')"""

    def __init__(self, title):
        self.title = title
        self.text = ''
        self.done = threading.Event()
        self.terminal = sys.stderr.isatty()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def tell(self, text):
        self.text = text

    def _show(self):
        started = time.monotonic()
        pause = PATIENCE
        while not self.done.wait(pause):
            line = f'{self.title} {time.monotonic() - started:.0f} s: {self.text}'
            if self.terminal:
                width = shutil.get_terminal_size().columns - 1
                sys.stderr.write('\r\033[K' + line[:width])
                pause = 1
            else:
                sys.stderr.write(line + '\n')
                pause = PAUSE
            sys.stderr.flush()
        if self.terminal:
            sys.stderr.write('\r\033[K')
            sys.stderr.flush()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
