ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS builder
WORKDIR /src
RUN python -m venv /opt/modelyard
COPY .constraints/runtime.txt .constraints/postgres.txt .constraints/s3.txt .constraints/build.txt .constraints/
RUN /opt/modelyard/bin/pip install --no-cache-dir --require-hashes \
    -r .constraints/runtime.txt -r .constraints/postgres.txt -r .constraints/s3.txt
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r .constraints/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /src/dist
RUN /opt/modelyard/bin/pip install --no-cache-dir --no-deps /src/dist/*.whl

FROM python:${PYTHON}-slim
# pg_dump and pg_restore, for backups of PostgreSQL
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin modelyard \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=builder /opt/modelyard /opt/modelyard
# Large request bodies pass through buffers that glibc would otherwise map and unmap one by one.
ENV PATH=/opt/modelyard/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    MALLOC_TRIM_THRESHOLD_=67108864 \
    MALLOC_TOP_PAD_=1048576 \
    MALLOC_ARENA_MAX=2 \
    MODELYARD_HOST=0.0.0.0 \
    MODELYARD_PORT=8080 \
    MODELYARD_DATA_DIR=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["modelyard", "health"]
ENTRYPOINT ["modelyard"]
CMD ["serve"]
