# Images of Scatterlens; the last stages are the targets:
#   cpu    gateway, and workers on a CPU        docker build --target cpu .
#   gpu    workers on an NVIDIA GPU             docker build --target gpu .
#   train  simulation and training with torch   docker build --target train .
# Dependencies are installed before the source is copied, so a change of code rebuilds only that.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04


FROM ${PYTHON_IMAGE} AS python-base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 \
    SCATTERLENS_HOME=/data PATH=/opt/scatterlens/bin:$PATH
RUN useradd --uid 10001 --create-home scatterlens \
    && install --directory --owner scatterlens --group scatterlens /data
WORKDIR /src
# An empty package asks for the same dependencies as the full one.
COPY pyproject.toml hatch_build.py README.md LICENSE ./
RUN mkdir -p service/scatterlens_service models/scatterlens_models worker/scatterlens_worker \
        clients/python/scatterlens \
    && for package in service/scatterlens_service models/scatterlens_models \
        worker/scatterlens_worker clients/python/scatterlens; do touch $package/__init__.py; done \
    && python3 -m venv /opt/scatterlens


FROM ${CUDA_IMAGE} AS cuda-base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 \
    SCATTERLENS_HOME=/data PATH=/opt/scatterlens/bin:$PATH
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home scatterlens \
    && install --directory --owner scatterlens --group scatterlens /data
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
RUN mkdir -p service/scatterlens_service models/scatterlens_models worker/scatterlens_worker \
        clients/python/scatterlens \
    && for package in service/scatterlens_service models/scatterlens_models \
        worker/scatterlens_worker clients/python/scatterlens; do touch $package/__init__.py; done \
    && python3 -m venv /opt/scatterlens


FROM python-base AS cpu
RUN pip install '.[service,worker]'
COPY service service
COPY models models
COPY worker worker
COPY clients clients
RUN pip install --no-deps --force-reinstall . && python -Ic 'import scatterlens_worker.commands'
WORKDIR /data
USER scatterlens
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["scatterlens"]
CMD ["serve", "--host", "0.0.0.0"]


FROM cuda-base AS gpu
# onnxruntime-gpu takes the place of onnxruntime: both have one import name.
RUN pip install '.[gpu]'
COPY service service
COPY models models
COPY worker worker
COPY clients clients
RUN pip install --no-deps --force-reinstall . && python3 -Ic 'import scatterlens_worker.commands'
WORKDIR /data
USER scatterlens
VOLUME /data
ENTRYPOINT ["scatterlens"]
CMD ["worker", "--device", "cuda", "--require-gpu"]


FROM python-base AS train
RUN pip install '.[worker,train]'
COPY service service
COPY models models
COPY worker worker
COPY clients clients
RUN pip install --no-deps --force-reinstall . && python -Ic 'import torch, scatterlens_models'
WORKDIR /data
USER scatterlens
VOLUME /data
ENTRYPOINT ["scatterlens"]
CMD ["train", "--help"]
