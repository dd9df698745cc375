from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any

class Job:
    def modify(self, *, next_run_time: datetime) -> object: ...

class BackgroundScheduler:
    def __init__(self, *, timezone: tzinfo) -> None: ...
    def add_job(
        self,
        func: Callable[..., object],
        trigger: object,
        *,
        args: Sequence[Any],
        id: str,
        misfire_grace_time: int | None,
        coalesce: bool,
        max_instances: int,
        next_run_time: datetime,
    ) -> object: ...
    def get_jobs(self) -> list[Job]: ...
    def start(self) -> None: ...
    def shutdown(self, *, wait: bool) -> None: ...
