"""Running a coroutine from ordinary code, also where an event loop is running already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["run_blocking"]


T = TypeVar("T")


def run_blocking(work: Awaitable[T]) -> T:
    """Wait for a coroutine's value.

    Under a running event loop, as in a notebook, it runs on a loop of its own in another thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_await(work))
    with ThreadPoolExecutor(1, thread_name_prefix="octavo") as executor:
        return executor.submit(asyncio.run, _await(work)).result()


async def _await(work: Awaitable[T]) -> T:
    return await work
