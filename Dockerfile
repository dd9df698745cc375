# One image for every process; compose.yaml and the Procfile say which command is which process.
FROM python:3.11-slim AS build
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /app/.venv
COPY requirements/build.txt requirements/
RUN .venv/bin/python -m pip install -q --require-hashes -r requirements/build.txt
COPY requirements.txt .
RUN .venv/bin/uv pip install --python .venv/bin/python --no-cache --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE manage.py Procfile ./
COPY core core
COPY web web
COPY workers workers
COPY scheduler scheduler
COPY migrations migrations
RUN .venv/bin/uv pip install --python .venv/bin/python --no-cache --no-deps --no-build-isolation -e . \
    && NUMBA_CACHE_DIR=/app/.numba .venv/bin/python -m core.trading.backtest.warm

FROM python:3.11-slim
RUN useradd --system --create-home --uid 10001 neozork \
    && install -d -o neozork -g neozork /var/lib/neozork/blobs
WORKDIR /app
COPY --from=build --chown=neozork:neozork /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 LOG_FORMAT=json \
    NEOZORK_ENV_FILE= NUMBA_CACHE_DIR=/app/.numba WORKER_CACHE_DIR=/tmp/neozork
USER neozork
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/v1/health/live', timeout=2)"]
CMD ["gunicorn", "--config", "web/gunicorn.py", "web.wsgi:app"]
