"""Time Procrastinate on jobs that do nothing; prints one JSON line.

Runs in the peers' environment: `python benchmarks/jobs_peers.py DATABASE_URL JOBS`. One worker
of concurrency 1 in a process of its own, one transaction for each job that is asked for.
"""

import json
import subprocess
import sys
import time

import procrastinate
import psycopg

PATIENCE_S = 300.0


def app_on(connector: procrastinate.BaseConnector) -> procrastinate.App:
    app = procrastinate.App(connector=connector)

    @app.task(name="nothing")
    def nothing() -> None:
        return

    return app


def work(url: str) -> None:
    with app_on(procrastinate.PsycopgConnector(conninfo=url)).replace_connector(
        procrastinate.PsycopgConnector(conninfo=url)
    ) as app:
        app.run_worker(concurrency=1)


def finished(connection: "psycopg.Connection[tuple[int]]") -> int:
    counted = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
    row = connection.execute(counted).fetchone()
    assert row is not None
    return row[0]


def main(url: str, count: int) -> None:
    app = app_on(procrastinate.SyncPsycopgConnector(conninfo=url))
    with app.open(), psycopg.connect(url, autocommit=True) as connection:
        app.schema_manager.apply_schema()
        worker = subprocess.Popen([sys.executable, __file__, "work", url])
        try:
            # The first job tells that the worker is up.
            for jobs in (1, count):
                before = finished(connection)
                began = time.perf_counter()
                for _ in range(jobs):
                    app.configure_task("nothing").defer()
                while finished(connection) < before + jobs:
                    if worker.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                        sys.exit("the worker does not finish")
                    time.sleep(0.01)
            seconds = time.perf_counter() - began
        finally:
            worker.terminate()
            worker.wait()
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(sys.argv[2])
    else:
        main(sys.argv[1], int(sys.argv[2]))
