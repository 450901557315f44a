# dopamine_lite with everything that it needs, for the CPU:
#   docker build -t dopamine-lite .
#   docker run --rm -v "$PWD/runs:/runs" dopamine-lite train --base_dir /runs/cartpole --gin_files dqn/cartpole.gin
# It runs as user 1000, who has to be able to write to the directory that is mounted: make `runs` yourself.
# For an NVIDIA GPU (CUDA's libraries come from pip; the host needs a driver and the NVIDIA Container Toolkit). This
# variant is untested:
#   docker build --build-arg TENSORFLOW="tensorflow[and-cuda]" -t dopamine-lite:gpu .
#   docker run --rm --gpus all -v "$PWD/runs:/runs" dopamine-lite:gpu train --device gpu ...
FROM python:3.11-slim-bookworm

ARG TENSORFLOW=tensorflow
ENV PYTHONUNBUFFERED=1 SDL_VIDEODRIVER=dummy

# git: runs started in a mounted repository note its commit.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git=1:2.39.* \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/dopamine_lite
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ./
COPY baselines/published baselines/published
COPY configs configs
COPY dopamine_lite dopamine_lite
RUN pip install --no-cache-dir ".[minatar]" "${TENSORFLOW}" --constraint constraints.txt

RUN useradd --create-home --uid 1000 user && mkdir /runs && chown user /runs
USER 1000
WORKDIR /runs
ENTRYPOINT ["dopamine-lite"]
CMD ["--help"]
