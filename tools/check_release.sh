#!/usr/bin/env bash
# Builds the wheel and the source distribution, checks both, and installs each in an empty environment of each Python:
#   tools/check_release.sh python3.11 python3.12 python3.13
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

"${BUILDER:-python3}" -m build --outdir "$place/dist"
"${BUILDER:-python3}" -m twine check --strict "$place"/dist/*

for python in "${@:-python3}"; do
  for built in "$place"/dist/*; do
    environment="$place/environment"
    rm -rf "$environment" "$place/run" "$place/dqn"
    "$python" -m venv "$environment"
    "$environment/bin/pip" install --quiet "$built"
    (
      cd "$place" # so that nothing comes from this checkout
      "$environment/bin/dopamine-lite" train --base_dir run --gin_files classics/q_learning_cliff.gin 2> log \
        || { cat log >&2; exit 1; }
      "$environment/bin/dopamine-lite" train --base_dir dqn --gin_files dqn/cartpole.gin \
        --gin_bindings "Runner.num_iterations = 1" 2> log || { cat log >&2; exit 1; }
      "$environment/bin/dopamine-lite" evaluate --base_dir dqn --episodes 2 2> log || { cat log >&2; exit 1; }
    )
    echo "$("$python" --version): $(basename "$built") installs, trains and evaluates"
  done
done
