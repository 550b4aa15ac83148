#!/bin/sh
# Every night: train, ask the new model and the served one about what came since, serve the better.
#   ./nightly.sh LOG NEW BASE [OPTION ...]
# LOG   what is learned from: everything but the last days
# NEW   what the models are asked about: the last days
# BASE  the model base path that servers watch
# Options behind these are those of `cmml train scenario`; for users' ratings or clicks write
# `train user` below. Status 3: the new model was refused, and what was served is served still.
set -eu

log=${1:?LOG is missing} new=${2:?NEW is missing} base=${3:?BASE is missing}
shift 3
run=${RUNS:-runs}/$(date +%Y-%m-%d)

# Given again on the same day, a training that was ended goes on, and one that is done is found.
cmml train scenario --data "$log" --run-dir "$run" --export-dir "$base/candidates" "$@"

candidate=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["export"])' \
  "$run/metrics.json")
cmml promote "$candidate" --against "$base" --on "$new" --json "$run/promotion.json"

# Found wrong in the morning: `cmml rollback BASE`.
