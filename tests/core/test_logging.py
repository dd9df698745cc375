import json
import subprocess
import sys

from core.logging import SCRUBBED, scrub

SPEAK = """
import logging
from core.logging import bound, configure_logging, get_logger
from core.settings import Settings

configure_logging(Settings(log_format="json", log_level="info"), "worker")
with bound(request_id="r1", tenant_id="t1", job_id="j1"):
    get_logger("ours").info("job_started", refresh_token="x")
    logging.getLogger("a.library").warning("it speaks, %s", "too")
get_logger("ours").info("job_ended")
"""

SPEAK_ASIDE = """
import logging, threading
from core.logging import configure_logging, get_logger, unbind_all
from core.settings import Settings
configure_logging(Settings(log_format="json"), "worker")
def speak():
    get_logger("ours").warning("from a thread")
    logging.getLogger("dramatiq.worker").critical("theirs from a thread")
thread = threading.Thread(target=speak)
thread.start()
thread.join()
unbind_all()
get_logger("ours").warning("with nothing bound")
"""


def test_what_sounds_secret_is_scrubbed_at_any_depth() -> None:
    told = {
        "row": 17,
        "headers": {"Authorization": "Bearer x", "Accept": "text/csv"},
        "logins": [{"password": "x", "email": "ada@example.com"}],
    }
    assert scrub(told) == {
        "row": 17,
        "headers": {"Authorization": SCRUBBED, "Accept": "text/csv"},
        "logins": [{"password": SCRUBBED, "email": "ada@example.com"}],
    }


def test_a_line_of_any_thread_names_its_process() -> None:
    spoken = subprocess.run(
        [sys.executable, "-c", SPEAK_ASIDE], check=True, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in spoken.stderr.splitlines()]
    assert [line["process"] for line in lines] == ["worker"] * 3


def test_every_line_is_json_and_carries_the_ids_that_were_bound() -> None:
    spoken = subprocess.run(
        [sys.executable, "-c", SPEAK], check=True, capture_output=True, text=True
    )
    ours, theirs, after = [json.loads(line) for line in spoken.stderr.splitlines()]
    ids = {"request_id": "r1", "tenant_id": "t1", "job_id": "j1", "process": "worker"}
    assert (ours | ids, ours["event"]) == (ours, "job_started")
    assert ours["refresh_token"] == SCRUBBED
    assert (theirs | ids, theirs["event"]) == (theirs, "it speaks, too")
    assert "job_id" not in after
