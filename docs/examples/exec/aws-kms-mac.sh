#!/usr/bin/env bash
# An HMAC_256 key in AWS KMS, by the AWS command line.
#
# Make the key:
#   aws kms create-key --key-spec HMAC_256 --key-usage GENERATE_VERIFY_MAC --query KeyMetadata.KeyId --output text
# Name it (what follows the key goes to `aws`, such as a region, a profile or an endpoint):
#   exec:./aws-kms-mac.sh KEY-ID-OR-ARN --region eu-central-1
#   exec:./aws-kms-mac.sh KEY-ID --endpoint-url https://kms.example
# The credentials need kms:GenerateMac on the key, and nothing else.
set -euo pipefail

if (($# == 0)); then
    echo "usage: aws-kms-mac.sh KEY [AWS-OPTION…]" >&2
    exit 64
fi
key=$1
shift

{ base64 --decode && printf '\001'; } |
    aws kms generate-mac --key-id "$key" --mac-algorithm HMAC_SHA_256 --message fileb:///dev/stdin \
        --query Mac --output text "$@"
