# Base images are pinned by the digest of their multi-platform index, so that a build
# uses the reviewed bytes. To update one, get the new digest from
#   docker buildx imagetools inspect golang:1.26.8
# and review the changes. make verify fails for a base image without a digest.

# The builder runs on the machine's own platform and cross-compiles.
FROM --platform=$BUILDPLATFORM golang:1.26.8@sha256:6c2a5538f964f1c82f97ad14988bf05de100d922d159d0e398b54c7b0ca0c6c9 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src

# Modules change less often than sources, so they have their own layer.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /manager ./cmd/manager

# Only the binary, CA certificates and time zones: no shell, no root.
FROM gcr.io/distroless/static:nonroot@sha256:f7f8f729987ad0fdf6b05eeeae94b26e6a0f613bdf46feea7fc40f7bd72953e6
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
