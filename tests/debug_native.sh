#!/bin/sh
# Build the native part with the address and undefined-behaviour sanitizers and run its tests on that.
#
# In a copy of the tree, so that neither the built extension nor the C between is ever taken for the
# real one. PYTHONMALLOC=malloc gives every bytearray red zones of its own; without it a byte too far
# stays inside Python's arenas and nobody sees it. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-$PWD/.venv/bin/python}
compiler=${CC:-gcc}
tree=build/debug

rm -rf "$tree"
mkdir -p "$tree"
cp -R relay tests setup.py pyproject.toml "$tree"
: >"$tree/README.md" # pyproject.toml names it
rm -f "$tree"/relay/_fastpath.c "$tree"/relay/_fastpath.*.so
cd "$tree"
RELAY_NATIVE_DEBUG=1 CC="$compiler" "$python" setup.py -q build_ext --inplace

export LD_PRELOAD="$("$compiler" -print-file-name=libasan.so)"
export PYTHONMALLOC=malloc
# The interpreter itself frees not all at its end.
export ASAN_OPTIONS=detect_leaks=0
export UBSAN_OPTIONS=print_stacktrace=1
# --capture=sys: the sanitizer writes its report to descriptor 2 just before the process is gone.
exec "$python" -m pytest -q --capture=sys -p no:cacheprovider tests/differential tests/message tests/test_stub.py "$@"
