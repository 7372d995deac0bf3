#!/bin/sh
# Installs the Debian packages that the private services need; does nothing when all are there.
# Without root and without sudo it says what is missing and succeeds: the tests then skip (on a
# laptop) or fail (in CI) with the reason.
set -eu

# Without arguments, what the private services need; else the packages that are named.
packages="${*:-slurm-wlm slurmdbd munge mariadb-server postgresql lsof tmux sqlite3 zsh fish}"

if ! command -v dpkg-query >/dev/null; then
    echo "packages.sh: no Debian; what the tests need is called there: $packages"
    exit 0
fi

missing=""
for package in $packages; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=env
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    echo "packages.sh: not installed, and no right to install:$missing"
    exit 0
fi

# The services that the packages bring start by themselves on a machine with systemd. The tests
# use none of them and none of their ports.
$as_root DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$as_root DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
