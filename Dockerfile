# The workflow with the packages of a lock: `make image`, and docs/containers.md for its use.
FROM python:3.11-slim-bookworm
ARG ACCELERATOR=cpu
WORKDIR /opt/promptscale
COPY envs envs
COPY src src
COPY LICENSE README.md pyproject.toml ./
RUN PIP_NO_CACHE_DIR=1 python envs/setup.py "$ACCELERATOR"
COPY config config
COPY profiles profiles
COPY results/published results/published
COPY workflow workflow
COPY Snakefile ./
# Any user may run the image: nothing is written to the checkout, and the home folder is a temporary folder.
ENV PATH="/opt/promptscale/.venv/bin:$PATH" HOME=/tmp PYTHONDONTWRITEBYTECODE=1
WORKDIR /work
ENTRYPOINT ["snakemake", "--snakefile", "/opt/promptscale/Snakefile"]
CMD ["--profile", "/opt/promptscale/profiles/local", "--dry-run", "all"]
