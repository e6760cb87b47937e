# An image of linnet serve. Untested: the project's machines cannot build images.
#   docker build -t linnet . && docker run -p 127.0.0.1:8080:8080 -v linnet:/var/lib/linnet linnet
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends git make
COPY . /src/linnet
WORKDIR /src/linnet
RUN make package

FROM debian:12-slim
COPY --from=build /src/linnet/dist/linnet_*.deb /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends /tmp/linnet_*.deb \
  && rm -rf /var/lib/apt/lists/* /tmp/linnet_*.deb \
  && useradd --system --home-dir /var/lib/linnet --create-home linnet
USER linnet
ENV XDG_DATA_HOME=/var/lib XDG_STATE_HOME=/var/lib
VOLUME /var/lib/linnet
EXPOSE 8080
# Only the host reaches a published port of 127.0.0.1; give --api-key-file instead of --allow-open to
# let others in.
ENTRYPOINT ["linnet", "serve", "--host", "0.0.0.0"]
CMD ["--allow-open"]
