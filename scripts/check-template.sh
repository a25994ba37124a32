#!/usr/bin/env bash
# check-template.sh [TEMPLATE]   Lints the SAM template as CI does: with cfn-lint, and with SAM's own reading of it. Needs python3 with venv.
#
# The tools live in target/template-tools and are pinned, so that a new rule of theirs arrives by a commit and not by itself.
# Neither lint asks AWS anything: no credentials, no region of yours, no telemetry.
# Exit: 0 clean; otherwise the status of the lint that found something.
set -euo pipefail
template=$(realpath "${1:-template.yaml}")
cfn_lint=1.58.0
sam_cli=1.170.0
tools=${CARGO_TARGET_DIR:-target}/template-tools

if [ "$(cat "$tools/versions" 2>/dev/null)" != "$cfn_lint $sam_cli" ]; then
  echo "installing cfn-lint $cfn_lint and aws-sam-cli $sam_cli in $tools"
  "${PYTHON:-python3}" -m venv --clear "$tools"
  "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "cfn-lint==$cfn_lint" "aws-sam-cli==$sam_cli"
  echo "$cfn_lint $sam_cli" >"$tools/versions"
fi

echo "cfn-lint $cfn_lint: $template"
"$tools/bin/cfn-lint" --template "$template"

echo "sam validate --lint $sam_cli: $template"
env -u AWS_PROFILE AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
  AWS_EC2_METADATA_DISABLED=true SAM_CLI_TELEMETRY=0 \
  "$tools/bin/sam" validate --lint --template "$template"
