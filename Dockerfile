# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
# aws-lc and the bundled SQLite are built from C.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package kong \
 && install -D target/release/kong /out/kong

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 1000 kong \
 && useradd --system --uid 1000 --gid kong --home-dir /usr/local/kong --shell /usr/sbin/nologin kong \
 && install --directory --owner kong --group kong /usr/local/kong
COPY --from=build /out/kong /usr/local/bin/kong

USER kong
# The prefix: the SQLite file and generated certificates. Mount a volume to keep them.
VOLUME /usr/local/kong
ENV KONG_PREFIX=/usr/local/kong \
    KONG_NGINX_DAEMON=off \
    KONG_PROXY_ACCESS_LOG=/dev/stdout \
    KONG_ADMIN_ACCESS_LOG=/dev/stdout \
    KONG_PROXY_ERROR_LOG=/dev/stderr

EXPOSE 8000 8443 8001 8444 8007
# SIGTERM stops at once, SIGQUIT lets requests in flight finish.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=10s --retries=10 CMD ["kong", "health"]

ENTRYPOINT ["kong"]
CMD ["start"]
