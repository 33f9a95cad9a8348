from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from octavo.commands._cli.signals import Interrupted, run_interruptibly


def nothing():
    pass


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_the_first_signal_cancels_the_work_and_lets_it_clean_up(number, code):
    seen = []

    async def work():
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("clean")

    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        run_interruptibly(work(), first=lambda: seen.append("first"), second=nothing)
    assert caught.value.exit_code == code
    assert seen == ["first", "clean"]
    assert signal.getsignal(number) is before


def test_work_that_ends_gives_its_value():
    async def work():
        return 7

    assert run_interruptibly(work(), first=nothing, second=nothing) == 7


def test_work_that_fails_after_the_signal_says_so():
    async def work():
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("the journal is gone")

    with pytest.raises(ValueError, match="journal"):
        run_interruptibly(work(), first=nothing, second=nothing)


def test_the_second_signal_ends_even_work_that_holds_the_loop():
    code = """
import os, signal, sys
from octavo.commands._cli.signals import run_interruptibly
async def work():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass
run_interruptibly(
    work(), first=lambda: print("first", flush=True), second=lambda: print("second", flush=True)
)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 130
    assert done.stdout == b"second\n"
