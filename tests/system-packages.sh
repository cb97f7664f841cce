#!/bin/sh
# Installs what the tests need from the system when it is missing and we may; says in one line what is missing
# when we may not. Tests that need what is missing then skip themselves (or fail, in CI).
missing=
command -v java >/dev/null 2>&1 || missing="$missing openjdk-17-jre-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ls /usr/share/fonts/opentype/noto/NotoSansCJK* >/dev/null 2>&1 || missing="$missing fonts-noto-cjk"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "== tests: missing on this system:$missing (Debian's names); install them to run every test"
  exit 0
fi
if [ "$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as="sudo -n"; else
  echo "== tests: missing; install with: sudo apt-get install$missing"
  exit 0
fi
echo "== tests: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$as apt-get update -qq && $as apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
  echo "== tests: could not install$missing; tests that need them will say so"
exit 0
