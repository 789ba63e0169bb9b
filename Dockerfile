# The server, without a model: that is mounted, read-only.
#   docker build --tag clipcache .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --publish 127.0.0.1:8000:8000 \
#     --volume "$PWD/models/head:/model:ro" clipcache
FROM python:3.12-slim-bookworm

# libraries that OpenCV's wheel expects of the system
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

COPY requirements/serve.txt /tmp/
RUN pip install --no-cache-dir --require-hashes --no-deps -r /tmp/serve.txt

COPY . /src
RUN pip install --no-cache-dir --no-deps --no-build-isolation /src && rm -r /src

RUN useradd --system --no-create-home clipcache
USER clipcache
ENV HOME=/tmp PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ready')"]
# in the exec form, so that SIGTERM reaches the server, which then answers what it has begun
CMD ["clipcache", "serve", "--host", "0.0.0.0", "--model", "/model"]
