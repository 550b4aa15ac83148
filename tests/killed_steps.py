"""Something that is killed, for real, before each step that it takes on the disk."""

import subprocess
import sys
from collections.abc import Callable, Iterator

_CHILD = """
import os, signal, sys

STEPS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}

%s

for line in sys.stdin:
    process = os.fork()
    if not process:
        left = int(line)

        def before(event, arguments):
            global left
            if event in STEPS:
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(before)
        work()
        os._exit(0)
    print(os.waitpid(process, 0)[1], flush=True)
"""


def killed_steps(program: str, begin: Callable[[], None]) -> Iterator[bool]:
    """Kills the same work before its first step on the disk, then before the second, to its end.

    Args:
      program: Defines a function `work`; what it imports must not start threads.
      begin: Called before each attempt.

    Yields:
      After each attempt whether it came to its end; the last one did.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD % program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        number, status = 0, None
        while status != 0:
            begin()
            child.stdin.write(f"{number}\n")
            child.stdin.flush()
            status = int(child.stdout.readline())
            assert status in (0, 9)
            yield status == 0
            number += 1
        child.stdin.close()
