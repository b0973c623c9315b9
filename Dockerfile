# Trains in a container and writes its runs into a volume:
#   docker build --tag ppo-np .
#   docker run --rm --volume "$PWD/runs:/home/ppo/runs" ppo-np train --env-id CartPole-v1
# The folder runs must be writable for user 1000; another user: --user "$(id -u):$(id -g)".
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir ".[video,plot]"

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home --uid 1000 ppo && install --directory --owner=ppo /home/ppo/runs && install --directory --mode=1777 /cache
ENV PATH="/opt/venv/bin:$PATH" XDG_CACHE_HOME=/cache MPLCONFIGDIR=/cache/matplotlib SDL_VIDEODRIVER=dummy
USER ppo
WORKDIR /home/ppo
VOLUME /home/ppo/runs
ENTRYPOINT ["ppo-np"]
CMD ["--help"]
