# The service as an image: not root, no compiler, and it writes to its volumes and /tmp only.
# docs/deployment.md says how to build and run it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# An index of your own: docker build --build-arg PIP_INDEX_URL=...
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/galeno
ENV PATH=/opt/galeno/bin:$PATH
WORKDIR /build
# Dependencies first: they change less often than the code, so that this layer is kept.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY studies ./studies
RUN pip install --no-deps --no-build-isolation .

FROM ${BASE} AS service
# LightGBM needs OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 galeno \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin galeno \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
        /var/lib/galeno/home /var/lib/galeno/keys /var/lib/galeno/vault
COPY --from=build /opt/galeno /opt/galeno
ENV PATH=/opt/galeno/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    GALENO_HOME=/var/lib/galeno/home
WORKDIR /tmp
USER 10001:10001
EXPOSE 8443
# The certificate names the public address and not this one; nothing but a status is asked for.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import ssl, urllib.request as r; r.urlopen('https://127.0.0.1:8443/healthz', timeout=4, context=ssl._create_unverified_context())"]
ENTRYPOINT ["galeno"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8443", "--tls-cert", "/run/secrets/tls_certificate", "--tls-key", "/run/secrets/tls_key"]
