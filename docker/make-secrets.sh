#!/bin/sh
# Make the secrets that docker-compose.yml mounts: once; what is there already is left alone.
set -eu
folder=$(dirname "$0")/secrets
umask 077
mkdir -p "$folder"
if [ ! -s "$folder/postgres_password" ]; then
    password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s' "$password" >"$folder/postgres_password"
    printf 'postgresql://bellwether:%s@postgres:5432/bellwether' "$password" >"$folder/database_url"
    echo "made $folder/postgres_password and $folder/database_url"
fi
if [ ! -e "$folder/webhook_secret" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/webhook_secret"
    echo "made $folder/webhook_secret"
fi
# The services run as users of their own and must be able to read the files; the folder keeps everybody else out.
chmod 0644 "$folder"/*
