#!/usr/bin/env bash
# check-template.sh [TEMPLATE]   Lints the SAM template as CI does, with cfn-lint and with `sam validate --lint`: once as it is, and once
#                                with its conditions switched. Needs python3 with venv.
#
# The tools are installed in target/template-tools. Their versions are pinned, so that a new rule of theirs comes in by a commit.
# Neither tool calls AWS: they get no credentials and no region of yours, and send no telemetry.
# Exit: 0 where both find nothing; otherwise the status of the one that found something.
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

# The template's conditions are linted both ways: with the parameters' defaults, and with each of these parameters at another value.
switched=$tools/switched.yaml
sed -e '/^  AlarmTopicArn:/,/Default:/ s|Default: .*|Default: arn:aws:sns:us-east-1:123456789012:alarms|' \
  -e '/^  CreateDashboard:/,/Default:/ s|Default: .*|Default: "no"|' \
  -e '/^  CreateRecordingPolicy:/,/Default:/ s|Default: .*|Default: "yes"|' \
  -e '/^  Tracing:/,/Default:/ s|Default: .*|Default: "on"|' \
  -e '/^  CorsOrigins:/,/Default:/ s|Default: .*|Default: https://example.com|' \
  -e '/^  Jwt[A-Za-z]*:/,/Default:/ s|Default: .*|Default: https://example.com|' "$template" >"$switched"
changed=$(diff "$template" "$switched" | grep -c '^>' || true)
[ "$changed" = 7 ] || { echo "$changed parameters were switched and not 7: a parameter in the list above has another name in the template by now" >&2; exit 1; }

for linted in "$template" "$switched"; do
  echo "cfn-lint $cfn_lint: $linted"
  "$tools/bin/cfn-lint" --template "$linted"

  echo "sam validate --lint $sam_cli: $linted"
  env -u AWS_PROFILE AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
    AWS_EC2_METADATA_DISABLED=true SAM_CLI_TELEMETRY=0 \
    "$tools/bin/sam" validate --lint --template "$linted"
done
