#!/bin/sh
# Writes .env from .env.example with random secrets, once: a file that is there is never touched, since its keys open what is stored.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
  echo '.env is there already and stays as it is.'
  exit 0
fi
umask 077
# Its final name comes last, and only if nobody else was faster.
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
while IFS= read -r line; do
  case $line in
    *=random) printf '%s=%s\n' "${line%%=*}" "$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')" ;;
    *) printf '%s\n' "$line" ;;
  esac
done < .env.example > "$new"
ln "$new" .env
echo 'Wrote .env: keep a copy of it where your other secrets are.'
