#!/bin/sh
# Each input that fuzzing has found worth keeping, through its fuzzer once more, built with the compiler of the
# unit tests and its sanitizers. The last line is "N passed, N failed": fuzzers, not inputs.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
for source in fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    if ls "fuzz/corpus/$name".*pack >/dev/null 2>&1 &&
        said=$("build/fuzz/replay_$name" "fuzz/corpus/$name".*pack 2>&1); then
        passed=$((passed + 1))
    else
        echo "corpus of fuzz_$name: ${said:-there is none (fuzz/run -m NAME makes it)}" | head -n 60
        failed=$((failed + 1))
    fi
    said=
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
