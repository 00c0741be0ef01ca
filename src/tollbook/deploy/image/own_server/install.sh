#!/bin/sh
# What a server of somebody's own adds to tollbook's image, step by step. Its Dockerfile runs it where the image is
# built, a test where it cannot be.
#
#   install.sh packages FOLDER   adds to FOLDER, the image's virtual environment, what lock.txt beside this file names
#   install.sh code FOLDER       compiles the project, which was copied to FOLDER
#
# PYTHON is the interpreter that does it; python3 if it is unset. A pip that it lacks is taken from below PIP_FOLDER, a
# folder for libraries as /usr/local/lib is one; /pip if it is unset.
set -eu
umask 022 # Lambda runs an image as a user of its own, who must be able to read everything
interpreter=${PYTHON:-python3}
steps=$(cd "$(dirname "$0")" && pwd)

add_packages() {
  for found in "${PIP_FOLDER:-/pip}"/python3.*/site-packages; do
    if [ -d "$found/pip" ]; then export PYTHONPATH="$found"; fi
  done
  # What the image has stays as it is: constraints.txt names all of it, and pip says what cannot be had beside it.
  # Only wheels, as in the image: there is no compiler.
  "$interpreter" -m pip --python "$1/bin/python" --disable-pip-version-check install --no-compile \
    --only-binary :all: --require-hashes -r "$steps/lock.txt" -c "$steps/constraints.txt"
  find "$1/bin" -type f ! -name tollbook -delete
  compile_new "$1/lib"
}

compile_new() {
  # What is compiled already is left alone: touched again, it would lie in the image twice.
  tag=$("$interpreter" -c 'import sys; print(sys.implementation.cache_tag)')
  find "$1" -name '*.py' | while read -r source; do
    name=${source##*/}
    [ -e "${source%/*}/__pycache__/${name%.py}.$tag.pyc" ] || echo "$source"
  done | compile -i -
}

compile() {
  # A file that is no Python of this version harms nobody before it is imported. Why this form: see the image's steps.
  "$interpreter" -m compileall -q --invalidation-mode unchecked-hash "$@" || true
}

case $1 in
  packages) add_packages "$2" ;;
  code) compile "$2" ;;
  *) echo "There is no step '$1': say packages or code." >&2; exit 2 ;;
esac
