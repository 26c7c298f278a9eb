#!/usr/bin/env bash
# Every kernel of the catalogue under each tool of NVIDIA's compute-sanitizer: accesses out of bounds, races in shared
# memory, barriers that not all threads meet, reads of memory that nobody wrote.
#
#     tests/gpu/sanitize.sh              with python3, or the one that PYTHON names
#
# Exit code 0: all clean. 1: something was found, or a kernel was not launched. 2: the tool, minigen or a GPU is missing.
set -euo pipefail

python=${PYTHON:-python3}
program=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/every_kernel.py

if ! command -v compute-sanitizer >/dev/null; then
    echo "sanitize.sh: compute-sanitizer is missing; it comes with NVIDIA's CUDA toolkit, whose bin folder belongs on the PATH." >&2
    exit 2
fi
if ! "$python" -c 'import minigen' 2>/dev/null; then
    echo "sanitize.sh: $python has no minigen: pip install -e '.[cuda13]' (or '.[cuda12]') into it, or name another by PYTHON." >&2
    exit 2
fi
reason=$("$python" -c 'from minigen.device import why_unavailable; print(why_unavailable("cuda") or "")')
if [[ -n $reason ]]; then
    echo "sanitize.sh: $reason" >&2
    exit 2
fi

"$python" "$program" cuda # builds the kernels, and shows what fails without a tool watching
found=()
for tool in memcheck racecheck synccheck initcheck; do
    echo "== $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$python" "$program" cuda || found+=("$tool")
done
if ((${#found[@]})); then
    echo "sanitize.sh: not clean under ${found[*]}." >&2
    exit 1
fi
echo "sanitize.sh: all clean."
