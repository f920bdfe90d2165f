# syntax=docker/dockerfile:1

# The build runs on the builder's own platform and cross-compiles; without cgo
# that needs nothing but Go.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# Modules in a layer of their own: it changes with go.sum only.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH
# -trimpath makes the binary independent of where it was built, so that anyone
# can rebuild a release and compare. The caches live outside the image.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/cache \
    GOCACHE=/cache CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/tradetrail
# The final image has no shell to make it with, and a new volume takes its
# owner from the image's folder.
RUN mkdir -p /out/data

# Static: certificates, time zones, a passwd file, and nothing to log in with.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /src/LICENSE /src/NOTICE /licenses/
COPY --from=build /out/tradetrail /
COPY --from=build --chown=65532:65532 /out/data /var/lib/tradetrail
VOLUME /var/lib/tradetrail
EXPOSE 8080
# The binary is its own probe: there is no curl here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["/tradetrail", "health"]
ENTRYPOINT ["/tradetrail"]
# The default of --listen, loopback, stays: reachable from other containers only
# once somebody has configured authentication, or has said --insecure-listen
# knowing who shares the network (docker-compose.yml shows the case).
CMD ["serve", "--data-dir", "/var/lib/tradetrail"]
