#!/bin/sh
# Starts `freshslate "$@"` with the kernels that were compiled when the image was built.
# numba takes a cache only from a folder that it may write to, and the root file system may be read-only: links from
# NUMBA_CACHE_DIR to the compiled files cost no memory, and what is compiled later goes beside them.
set -eu
compiled=$(cd "$(dirname "$0")" && pwd)/kernels
if [ "${NUMBA_CACHE_DIR:-$compiled}" != "$compiled" ] && [ -d "$compiled" ]; then
    mkdir -p "$NUMBA_CACHE_DIR"
    cp -rsf "$compiled/." "$NUMBA_CACHE_DIR/"
fi
exec freshslate "$@"
