# `bash envs/install.sh cpu CHECKSUM`: installs a lock of this SHA-256 and this package into the active environment.
# --no-deps: the lock is complete, and t5 requires packages that the lock leaves out (overrides.txt).
set -euo pipefail
python -m pip install --no-deps --require-hashes -r "envs/$1.lock"
python -m pip install --no-deps --no-build-isolation -e .
