#!/bin/sh
# Starts `lob` on a GPU host.
#
#   ./run.sh --check            says what the CUDA backend will find; exit code 2 if something is missing
#   ./run.sh train STORE ...    runs `lob train STORE ...`
#
# CUDA_PATH names a toolkit or the `nvidia/cu13` folder of the Python CUDA wheels; without it the
# usual places are searched. LOB_LIBRARY_PATH adds folders to search for libraries, before all others.
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

folders() {
    printf '%s\n' "${LOB_LIBRARY_PATH:-}" "${LD_LIBRARY_PATH:-}" | tr ':' '\n'
    printf '%s\n' \
        /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib/wsl/lib \
        /run/opengl-driver/lib /usr/lib
}

toolkits() {
    printf '%s\n' "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda
    ls -d /usr/local/cuda-* 2>/dev/null | sort -r
    for site in /usr/lib/python3*/site-packages /usr/local/lib/python3*/*-packages; do
        printf '%s\n' "$site/nvidia/cu13"
    done
    printf '%s\n' /usr
}

# First folder of those on standard input that holds a file of this pattern.
holding() {
    while IFS= read -r folder; do
        [ -n "$folder" ] || continue
        for file in "$folder"/$1; do
            if [ -e "$file" ]; then
                printf '%s\n' "$folder"
                return
            fi
        done
    done
}

driver=$(folders | holding 'libcuda.so.1')
toolkit=$(toolkits | holding 'include/cuda_fp16.h')
nvrtc=$({ folders; toolkits | sed 's,$,/lib64,'; toolkits | sed 's,$,/lib,'; } | holding 'libnvrtc.so*')

report() {
    if [ -n "$2" ]; then
        echo "found    $1: $2"
    else
        echo "missing  $1: $3"
        missing=1
    fi
}

if [ "${1:-}" = "--check" ]; then
    missing=0
    report "driver (libcuda.so.1)" "$driver" "install the NVIDIA driver"
    report "nvrtc (libnvrtc.so)" "$nvrtc" "install the CUDA toolkit, or the wheel nvidia-cuda-nvrtc"
    report "headers (include/cuda_fp16.h)" "$toolkit" \
        "point CUDA_PATH at a toolkit, or at the nvidia/cu13 folder of the wheels"
    if command -v nvidia-smi >/dev/null 2>&1; then
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || missing=1
    fi
    [ "$missing" -eq 0 ] || exit 2
    exit 0
fi

for folder in "$driver" "$nvrtc"; do
    [ -n "$folder" ] && LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}"
[ -n "$toolkit" ] && export CUDA_PATH="$toolkit"
# The CUDA backend reads cubecl.toml of the working directory.
[ -e cubecl.toml ] || cp "$here/cubecl.toml" . 2>/dev/null
exec "$here/lob" "$@"
