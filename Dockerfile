# A static program in an image without anything else:
#
#   docker build --tag lenet .
#   docker run --rm --publish 8080:8080 lenet                                              # http://127.0.0.1:8080
#   docker run --rm --volume "$PWD:/data" lenet recognize photo.jpg
#   docker run --rm --volume "$PWD:/data" --user "$(id -u):$(id -g)" lenet train --recipe fast   # writes a file

ARG RUST_VERSION=1.95

# Alpine's Rust compiles for musl, whose C library is linked statically. musl-dev is for the C code of ring.
FROM rust:${RUST_VERSION}-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /source
COPY . .
RUN CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release --locked --package lenet-cli

FROM scratch
COPY LICENSE-MIT LICENSE-APACHE /licenses/
COPY --from=build /source/target/release/lenet /lenet
USER 65534:65534
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["/lenet"]
# From outside, a container is reached on all of its interfaces, not on its own 127.0.0.1.
CMD ["serve", "--host", "0.0.0.0"]
