# tollbook for AWS Lambda and for any host of containers; see docs/image.md. It names no architecture: --platform does.

# To pin its bytes too: --build-arg BASE=python@sha256:…
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /source
# All of it: a wheel carries what an image is built of, so that whoever installs it can deploy.
COPY .dockerignore Dockerfile LICENSE README.md pyproject.toml ./
COPY requirements/build.txt requirements/image.txt requirements/
COPY scripts/install_image.sh scripts/
COPY src src
RUN --mount=type=cache,target=/root/.cache/pip scripts/install_image.sh environment /opt/tollbook

FROM ${BASE}
LABEL org.opencontainers.image.title="tollbook" \
      org.opencontainers.image.description="What did Amazon Bedrock cost, and who spent it? An MCP server." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN --mount=type=bind,source=scripts,target=/scripts /scripts/install_image.sh interpreter /usr/local
COPY --from=build /opt/tollbook /opt/tollbook
# Nothing is written but what the program keeps, and that to /tmp: the rest of the file system may be read-only.
ENV PATH=/opt/tollbook/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /srv
USER 65532:65532
EXPOSE 8000
ENTRYPOINT ["python", "-m", "tollbook.app.image"]
