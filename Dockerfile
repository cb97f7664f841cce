# syntax=docker/dockerfile:1
# One image for every service; the command says which.
#
#   docker build -t bellwether .                                  runs on CPU
#   docker build -t bellwether:cuda --build-arg ACCELERATOR=cuda .    runs on an NVIDIA GPU (about 6 GB larger)

FROM python:3.11-slim-trixie AS build
ARG ACCELERATOR=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/bellwether
COPY requirements.lock pyproject.toml README.md LICENSE /src/
COPY monitor /src/monitor
COPY training /src/training
COPY dashboard /src/dashboard
COPY migrations /src/migrations
# The lock holds what the tests need too, so it constrains the versions instead of naming what to install. The CPU
# build of torch has its own index; its version 2.13.0+cpu counts as newer than 2.13.0, so it is the one taken.
RUN if [ "$ACCELERATOR" = cuda ]; then set --; \
    else set -- --extra-index-url https://download.pytorch.org/whl/cpu; fi \
 && /opt/bellwether/bin/python -m pip install "$@" -c /src/requirements.lock /src

FROM python:3.11-slim-trixie
LABEL org.opencontainers.image.title="bellwether" \
      org.opencontainers.image.description="Financial sentiment monitoring: Kafka in, alerts out" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/bellwether bellwether
COPY --from=build /opt/bellwether /opt/bellwether
COPY docker/health.py /usr/local/lib/bellwether/health.py
ENV PATH=/opt/bellwether/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    BELLWETHER_DATA_DIR=/var/lib/bellwether
USER 10001
WORKDIR /var/lib/bellwether
VOLUME /var/lib/bellwether
EXPOSE 8050
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=90s --retries=3 \
    CMD ["python", "/usr/local/lib/bellwether/health.py", "dashboard"]
ENTRYPOINT ["bellwether"]
CMD ["up"]
