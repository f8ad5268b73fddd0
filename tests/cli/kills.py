"""The command line in a process of its own, which is killed or kills itself.

Such a process is forked from one that has imported the package, once for all tests of a worker: an
import takes seconds.
"""

import multiprocessing
import os
import signal
import sys

from retina_course.cli import parser as cli
from retina_course.data import files


def begin(target, *arguments):
    """Start a process that calls `target`, a function of a module, not of a test."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([cli.__name__])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def command_line(*arguments):
    sys.exit(cli.main(arguments))


def die_at(where, number, *arguments):
    """Die in the middle of the write after `number` others, or just before the file's renaming.

    In the middle of a write, half of the bytes are on the disk.
    """
    left = [number]

    def die(place):
        left[0] -= place == where
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sync, replace = os.fsync, os.replace

    def fsync(handle):
        if where == "write" and left[0] == 0:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
        die("write")
        sync(handle)

    def renamed(*paths):
        die("rename")
        replace(*paths)

    files.os.fsync, files.os.replace = fsync, renamed
    command_line(*arguments)


def killed(where, number, *arguments):
    """Whether the command was still at work at that write or renaming, and so was killed."""
    process = begin(die_at, where, number, *map(str, arguments))
    process.join()
    assert process.exitcode in (-signal.SIGKILL, 0), "its error is in the captured stderr"
    return process.exitcode != 0
