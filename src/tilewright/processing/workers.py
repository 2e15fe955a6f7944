"""Where tasks are done: in threads of this process, or by the workers of a Dask cluster. Calls come in, their results go out in order.

`pictures` and `images` call it. A task is a function and what it is given, all of which can be sent to another process, and it is done
in one thread, so that results are the same wherever that is. No more tasks are under way than there is work for, so that memory is
bounded by them and not by how many there are in all.

Dask's own threads are a pool like this one's; `dask_arrays` is for who has a Dask array.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from tilewright.errors import InputError, TransientError
from tilewright.extras import extra
from tilewright.processing.base import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future
    from contextlib import AbstractContextManager

Given = TypeVar("Given")
Label = TypeVar("Label")
Result = TypeVar("Result")
_TIMEOUT = 10
"""Seconds to find a cluster's scheduler, and a worker of it."""
_AHEAD = 2
"""Tasks a thread of a cluster: one that is done, and one that waits on its machine, so that none has to wait for this one."""


class Workers(Protocol):
    """Who does tasks."""

    @property
    def dashboard(self) -> str:
        """Address of a page that shows them at work; empty if there is none."""

    def opened(self) -> AbstractContextManager[tuple[Executor, int]]:
        """Return a context with an executor, and how many tasks it may have at once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None:
        """Leave them."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads of this process: as many as it has processors, unless told otherwise."""

    count: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None:
            whole(self.count, 1, "a number of threads")

    @property
    def dashboard(self) -> str:
        """Return that there is none."""
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: there are threads while there are tasks."""

    @contextmanager
    def opened(self) -> Iterator[tuple[Executor, int]]:
        """Return a context with an executor, and how many tasks it may have at once: one a thread, and one that waits for the next that is free."""
        count = self.count or os.cpu_count() or 1
        with ThreadPoolExecutor(count, thread_name_prefix="tilewright-processing") as threads:
            yield threads, count + 1


class Cluster:
    """The workers of a Dask cluster, on which Tilewright is installed in the same version.

    Parameters
    ----------
    where
        Address of its scheduler, "tcp://host:8786"; or a `distributed.Client`, which stays open.

    Raises
    ------
    SetupError
        If distributed is not installed.
    TransientError
        If no scheduler answers there, or it has no workers.
    """

    def __init__(self, where: Any) -> None:
        with extra("cluster", "a Dask cluster needs distributed"):
            import distributed  # noqa: PLC0415 - slow to import

        if not isinstance(where, (str, distributed.Client)):
            raise InputError(
                f"cannot take {where!r:.100} as a cluster: expected its address or a distributed.Client"
            )
        self._is_ours = isinstance(where, str)
        try:
            client: Any = where if not self._is_ours else distributed.Client(where, timeout=_TIMEOUT)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, ValueError) as error:
            raise TransientError(
                f"no scheduler of a Dask cluster answers at {where} ({error}): start one with `dask scheduler`, or give its address"
            ) from error
        self._client: Any = client
        try:
            self._client.wait_for_workers(1, timeout=_TIMEOUT)
        except TimeoutError as error:
            self.__exit__()
            raise TransientError(
                f"the cluster at {where} has no workers: start some with `dask worker`"
            ) from error

    @property
    def dashboard(self) -> str:
        """Return the address of its dashboard."""
        return str(self._client.dashboard_link or "")

    @contextmanager
    def opened(self) -> Iterator[tuple[Executor, int]]:
        """Return a context with an executor, and how many tasks it may have at once: two for each thread that it has now."""
        with self._client.get_executor(pure=False) as executor:
            yield executor, max(1, _AHEAD * sum(self._client.nthreads().values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the cluster; a client that was given stays open."""
        if self._is_ours:
            self._client.close()


def workers_of(cluster: Any = None, threads: int | None = None) -> Workers:
    """Return the workers of a cluster, or threads of this process; left at the end of a `with`.

    Parameters
    ----------
    cluster
        See `Cluster`; None for threads.
    threads
        How many; None for one a processor.

    Raises
    ------
    InputError
        If both are given; and as `Cluster`.
    """
    if cluster is None:
        return Threads(threads)
    if threads is not None:
        raise InputError("threads are of this process, and a cluster has its own: give one of them")
    return Cluster(cluster)


def in_order(
    workers: Workers, function: Callable[[Given], Result], calls: Iterable[tuple[Label, Given]]
) -> Iterator[tuple[Label, Future[Result]]]:
    """Yield the tasks of calls, which are done or about to be, each with its label, in the order of the calls.

    Whoever takes a task's result gets what it raised. What is under way when nobody asks any more is waited for, what waits is not done.
    """
    with workers.opened() as (executor, at_once):
        under_way = deque[tuple[Label, "Future[Result]"]]()
        try:
            for label, given in calls:
                if len(under_way) == at_once:
                    yield under_way.popleft()
                under_way.append((label, executor.submit(function, given)))
            while under_way:
                yield under_way.popleft()
        finally:
            for _, task in under_way:
                task.cancel()
