#!/bin/sh
# Pin versions and hashes; the files hold no address of any package index.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
"$python" -m pip install --quiet uv
pin() {
  "$python" -m uv pip compile pyproject.toml --universal --generate-hashes --quiet \
    --no-emit-index-url --no-header --no-annotate "$@"
}
pin --extra build --extra postgresql --extra rare --output-file requirements.lock
pin --extra build --extra dev --extra postgresql --extra rare --constraint requirements.lock --output-file requirements-dev.lock
