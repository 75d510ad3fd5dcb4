#!/usr/bin/env bash
# Cloud TPU runs this script on every host of a slice at every boot. The script installs the
# environment that the slice's metadata names, unless it is installed, and starts the worker. It
# works on a plain image: Python and the packages are installed too.
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
  # Python imports the package from its folder; it need not be built or installed.
  echo "$folder/package" > "$(echo venv/lib/python3.*/site-packages)/promptscale.pth"
  unset PYTHONPATH
  mkdir -p bin
  printf '#!/bin/sh\nexec "%s/venv/bin/python" "$@"\n' "$folder" > bin/python
  chmod +x bin/python
  touch complete
}

report_failure() { # to the controller
  gcloud storage cp "$PROMPTSCALE_HOME/install.log" \
    "$(attribute promptscale-slice)/startup/$(attribute agent-worker-number)"
}

if [ ! -e "$folder/complete" ]; then
  trap report_failure ERR
  install > "$PROMPTSCALE_HOME/install.log" 2>&1
  trap - ERR
fi

# Half an hour of retries, so that an outage of the bucket does not lose what this host computed.
export PROMPTSCALE_BUCKET_RETRIES=60
cd "$PROMPTSCALE_HOME"
exec "$folder/bin/python" -m promptscale.tpu.worker
