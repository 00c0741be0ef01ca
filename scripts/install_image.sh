#!/bin/sh
# What the image holds, step by step. The Dockerfile runs it where the image is built, a test where it cannot be.
#
#   install_image.sh environment FOLDER   makes FOLDER, a virtual environment with tollbook and what it needs
#   install_image.sh interpreter PREFIX   makes ready the Python under PREFIX, which runs it
#
# PYTHON is the interpreter that does it, with pip; python3 if it is unset.
set -eu
umask 022 # Lambda runs an image as a user of its own, who must be able to read everything
interpreter=${PYTHON:-python3}

pip_into() { # FOLDER WORDS…: what pip shall do with an environment, which needs no pip of its own
  environment=$1
  shift
  "$interpreter" -m pip --python "$environment/bin/python" --quiet --disable-pip-version-check "$@"
}

compile() {
  # Building and unpacking an image may set the times of files anew. Bytecode of this form is valid at any.
  "$interpreter" -m compileall -q --invalidation-mode unchecked-hash "$@"
}

make_environment() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$interpreter" -m venv --without-pip "$work/build"
  pip_into "$work/build" install --only-binary :all: --require-hashes -r requirements/build.txt
  pip_into "$work/build" wheel --no-deps --no-build-isolation --wheel-dir "$work" .

  "$interpreter" -m venv --without-pip "$1"
  # Only wheels: to build anything would need a compiler, and what came of it would have no hash.
  pip_into "$1" install --no-compile --only-binary :all: --require-hashes -r requirements/image.txt
  pip_into "$1" install --no-compile --no-deps --no-index "$work"/tollbook-*.whl
  find "$1/bin" -type f ! -name tollbook -delete # other packages' programs, and what makes an environment active
  compile "$1/lib"
}

make_ready() {
  # The official image leaves out the standard library's bytecode (docker-library/python, issue 615), without which
  # each start would compile it anew; and it has pip, which has done its work.
  rm -rf "$1"/bin/pip* "$1"/lib/python3.*/ensurepip "$1"/lib/python3.*/site-packages/pip*
  compile -x '/(idlelib|lib2to3|tkinter|turtledemo)/' "$1"/lib/python3.*
}

mkdir -p "$2"
target=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
case $1 in
  environment) make_environment "$target" ;;
  interpreter) make_ready "$target" ;;
  *) echo "There is no step '$1': say environment or interpreter." >&2; exit 2 ;;
esac
