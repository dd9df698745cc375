import shutil
from collections.abc import Iterator

import pytest

from core.local.account import Account
from core.local.platform import Platform, open_platform


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """The whole platform, running; its firms share nothing."""
    folder = Account.current().fresh_folder("j-")
    with open_platform(folder, port=0, honour_environment=False) as running:
        running.wait_until_ready()
        yield running
    shutil.rmtree(folder)
