# One image for every service; the command says which. Not run where this was written: no Docker engine there.
FROM node:24.21.0-slim AS build
WORKDIR /stepcast
COPY package.json package-lock.json .npmrc .swcrc ./
COPY libs libs
COPY apps apps
COPY tools tools
RUN npm ci --no-audit --no-fund && node tools/build.mjs && npm prune --omit=dev

FROM node:24.21.0-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /stepcast
# Volumes take over the owner of what they hide.
RUN mkdir /data /certificate && chown node:node /data /certificate
COPY --from=build --chown=node:node /stepcast /stepcast
USER node
CMD ["node", "apps/gateway/dist/main.js"]
