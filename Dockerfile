# Tidings as an image: one static binary, git (it names the commit of a spec), certificates, a user without rights.
#
#   docker build -t tidings .
#   docker run -v "$PWD:/workspace:ro" -v tidings-data:/data -e TG_API_ID -e TG_API_HASH tidings
#
# /workspace holds tidings.yaml and campaigns/ and may be read-only. /data holds state/ and sessions/: what must not be
# lost. The page: `web: {listen: "0.0.0.0:7878", token: "${TIDINGS_WEB_TOKEN}"}` in tidings.yaml, and
# `-p 127.0.0.1:7878:7878 -e TIDINGS_WEB_TOKEN`.

# It has not been built yet: where it was written no registry could be reached for the two base images. hadolint finds
# nothing, what it copies is all that the build names, and the health check, the variables and the folders were tried by
# hand with the same binary.

FROM rust:1-alpine AS build
# A C compiler and headers for SQLite, zstd and ring. On Alpine Rust builds for musl: the binary needs no library.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY campaigns campaigns
COPY examples examples
COPY schema schema
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin tidings && cp target/release/tidings /tidings \
    # musl's ldd fails on what needs no library, and lists what does need one.
    && { ldd /tidings > /needs 2>/dev/null || true; } && ! grep '=>' /needs

FROM alpine:3
# hadolint ignore=DL3018
RUN apk add --no-cache ca-certificates git tini \
    && adduser -S -D -H -u 10001 -h /data tidings \
    && install -d -o tidings -m 0700 /data /data/state /data/sessions \
    # The workspace belongs to somebody else, and git is only asked who changed what.
    && git config --system --add safe.directory '*'
COPY --from=build /tidings /usr/local/bin/tidings
ENV TIDINGS_STATE_DIR=/data/state TIDINGS_SESSIONS_DIR=/data/sessions
# By number, so that whoever runs it sees that it is not root.
USER 10001
WORKDIR /workspace
VOLUME /data
EXPOSE 7878
STOPSIGNAL SIGTERM
# Whether a daemon answers through its socket: it does while its loop goes round.
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s \
    CMD ["sh", "-c", "tidings -C /workspace status -o json | grep -q '\"running\": *true'"]
ENTRYPOINT ["tini", "--", "tidings", "-C", "/workspace"]
CMD ["run"]
