# The server alone: an ordinary user, a root that may be read-only, everything it keeps under /data.
FROM python:3.11-slim AS build
WORKDIR /source
COPY requirements.lock ./
RUN python -m venv /opt/fhirmedia \
 && /opt/fhirmedia/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY fhirmedia fhirmedia
COPY profiles profiles
RUN /opt/fhirmedia/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --user-group --uid 10001 --no-create-home --shell /usr/sbin/nologin fhirmedia \
 && install --directory --owner=fhirmedia --group=fhirmedia --mode=0700 /data
COPY --from=build /opt/fhirmedia /opt/fhirmedia
ENV PATH=/opt/fhirmedia/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
CMD ["fhirmedia", "serve", "--data", "/data", "--host", "0.0.0.0", "--port", "8080"]
