"""A signal ends the server whatever its main thread is doing just then."""

import subprocess
import sys

from cmml_tf.serving.server.end_signal import EndSignal

# Signals that come while the main thread begins or ends a wait, in thousands of places of it.
ENDED_ANYWHERE = """
import signal
from cmml_tf.serving.server.end_signal import EndSignal
for number in range(3000):
    stop = EndSignal()
    signal.signal(signal.SIGALRM, lambda *_: stop.set())
    signal.setitimer(signal.ITIMER_REAL, 1e-4 + number * 1e-7)
    while not stop.wait(2e-5):
        pass
"""


def test_a_handler_that_interrupts_the_wait_ends_it():
    subprocess.run([sys.executable, "-c", ENDED_ANYWHERE], timeout=60, check=True)


def test_it_stays_set():
    stop = EndSignal()
    assert not stop.wait(0.0)
    assert not stop.is_set()
    stop.set()
    stop.set()
    assert stop.wait(0.0)
    assert stop.wait(0.0)
    assert stop.is_set()
