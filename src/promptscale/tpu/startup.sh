#!/usr/bin/env bash
# Cloud TPU runs this on every host of a slice, at every boot. It installs the environment that the
# slice's metadata names, unless it is there, and starts the worker. Run with a plain image: Python
# and the packages come from the lock.
set -eEuo pipefail

attribute() {
  curl --silent --show-error --fail --retry 10 --retry-connrefused --header 'Metadata-Flavor: Google' \
    "http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance/attributes/$1"
}

export PROMPTSCALE_HOME="${PROMPTSCALE_HOME:-/var/lib/promptscale}"
mkdir -p "$PROMPTSCALE_HOME"
environment=$(attribute promptscale-environment)
folder="$PROMPTSCALE_HOME/$environment"

install() {
  root=$(attribute promptscale-root)
  rm -rf "$folder"
  mkdir -p "$folder"
  cd "$folder"
  gcloud storage cp "$root/environments/$environment/*" .
  python3 -m zipfile -e package.zip package
  python3 -m pip install --quiet --target tools uv
  export UV_PYTHON_INSTALL_DIR="$folder/pythons" PYTHONPATH="$folder/tools"
  python3 -m uv venv --quiet --python 3.11 venv
  python3 -m uv pip install --quiet --python venv/bin/python --no-deps --require-hashes \
    -r requirements.lock
  # The package is found without being built or installed.
  echo "$folder/package" > "$(echo venv/lib/python3.*/site-packages)/promptscale.pth"
  unset PYTHONPATH
  mkdir -p bin
  printf '#!/bin/sh\nexec "%s/venv/bin/python" "$@"\n' "$folder" > bin/python
  chmod +x bin/python
  touch complete
}

tell() { # the controller why this host does not start
  gcloud storage cp "$PROMPTSCALE_HOME/install.log" \
    "$(attribute promptscale-slice)/startup/$(attribute agent-worker-number)"
}

if [ ! -e "$folder/complete" ]; then
  trap tell ERR
  install > "$PROMPTSCALE_HOME/install.log" 2>&1
  trap - ERR
fi

# Half an hour: whatever the bucket does meanwhile, what this host has computed is not lost.
export PROMPTSCALE_BUCKET_RETRIES=60
cd "$PROMPTSCALE_HOME"
exec "$folder/bin/python" -m promptscale.tpu.worker
