from uuid import uuid4

import pytest

from core.jobs.kinds import KINDS, RUN_BACKTEST
from core.settings import get_settings
from tests.builders import a_tenant
from workers.perform import function_of, perform, preload


def test_a_queues_functions_are_there_before_its_first_job() -> None:
    function_of.cache_clear()
    preload("interactive")
    preloaded = function_of.cache_info().currsize
    assert preloaded == sum(kind.queue == "interactive" for kind in KINDS.values())


@pytest.mark.usefixtures("database")
def test_a_message_of_no_job_does_nothing() -> None:
    perform(RUN_BACKTEST, str(a_tenant()), str(uuid4()))


def test_a_database_that_is_away_leaves_the_job_to_a_later_message(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = a_tenant()
    url = get_settings().required("database_url").replace(database, "no_such_database")
    monkeypatch.setenv("DATABASE_URL", url)
    get_settings.cache_clear()
    perform(RUN_BACKTEST, str(tenant), str(uuid4()))
    get_settings.cache_clear()
