#!/usr/bin/env bash
# Runs every hardware test, then every hardware benchmark, and leaves their CSVs in results/ (or in
# the folder given as the first argument). Needs an NVIDIA driver; no Rust, no CUDA toolkit. Takes less
# than ten minutes: what there is no time for is dropped, what matters least first, and told.
# Exit status: 0 all passed; 1 something failed; 3 there is no GPU to run on.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
results=${1:-$here/results}
mkdir -p "$results"

# cuBLAS and its kin, for comparison, often come with a Python package rather than on the path.
site_packages() {
    python3 - <<'PY' 2>/dev/null
import glob, os, site, sys
folders = {p for p in sys.path + site.getsitepackages() + [site.getusersitepackages()] if p}
found = {os.path.dirname(lib) for f in folders
         for lib in glob.glob(os.path.join(f, "nvidia", "**", "lib*.so*"), recursive=True)}
print(":".join(sorted(found)))
PY
}
libraries=$(site_packages)
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${libraries}"

"$here/bin/gpu-tests" --csv "$results/gpu-tests.csv" --seconds 180
tests=$?
[ "$tests" -eq 3 ] && exit 3
"$here/bin/gpu-bench" --csv "$results/gpu-bench.csv" --seconds 220
bench=$?
# The smallest products once more, each access of theirs watched.
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck synccheck; do
        timeout 40 compute-sanitizer --tool "$tool" --error-exitcode 1 "$here/bin/gpu-tests" \
            --csv "$results/gpu-tests-$tool.csv" --only small --seconds 20
        case $? in
            0) ;;
            124) echo "$tool: time is over" ;;
            *) tests=1 ;;
        esac
    done
else
    echo "nothing is watched: there is no compute-sanitizer"
fi
# The peers that only PyTorch brings; without it there is nothing to compare with.
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    timeout 60 python3 "$here/attention.py" --csv "$results/attention-torch.csv" || bench=1
else
    echo "attention has no peer: there is no PyTorch with CUDA"
fi
[ "$tests" -eq 0 ] && [ "$bench" -eq 0 ]
