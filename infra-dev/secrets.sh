#!/bin/sh
# Makes infra-dev/secrets/ for compose.yaml: random passwords, each in a file of mode 0600. What is there is kept.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/secrets"
cd "$here/secrets"

make() {
    [ -e "$1" ] || { head -c 24 /dev/urandom | base64 | tr -d '/+=\n'; echo; } > "$1"
}

make ledger.password
make target.password
make app-db.password
printf 'postgresql://postgres:%s@ledger.internal:5432/gatekeeper\n' "$(cat ledger.password)" > ledger-url
printf 'postgresql://postgres:%s@db.internal:5432/app\n' "$(cat target.password)" > target-url
