# Run by Snakemake once the environment of tpu.yaml is made, from the working directory.
# --no-deps: the lock is complete, and t5 asks for packages that it leaves out (overrides.txt).
set -euo pipefail
python -m pip install --no-deps --require-hashes -r envs/tpu.lock
python -m pip install --no-deps --no-build-isolation -e .
