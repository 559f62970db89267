# One image for every app: the command chooses the role.
FROM node:24.11.1-bookworm-slim AS build
WORKDIR /belfry
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY apps apps
COPY libs libs
COPY test test
COPY scripts scripts
RUN node scripts/run.mjs build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.11.1-bookworm-slim
WORKDIR /belfry
ENV NODE_ENV=production NODE_OPTIONS="--enable-source-maps --disable-warning=TimeoutNegativeWarning --import /belfry/dist/libs/telemetry/src/start-telemetry.js"
COPY --from=build --chown=root:root /belfry/package.json ./
COPY --from=build --chown=root:root /belfry/node_modules node_modules
COPY --from=build --chown=root:root /belfry/dist dist
USER node
EXPOSE 3000
CMD ["node", "dist/apps/gateway/src/main.js"]
