# SPDX-License-Identifier: Apache-2.0
"""A short run of one fuzz target with a fixed seed, from fresh seed inputs.

    short_run.py TARGET [-seeds PROGRAM]

FUZZ_RUNS inputs are tried (default 50000). A failing input stays in the working directory.
"""
import os
import subprocess
import sys
import tempfile


def main(target, seeds):
    runs = os.environ.get('FUZZ_RUNS', '50000')
    with tempfile.TemporaryDirectory() as corpus:
        if seeds is not None:
            subprocess.run([seeds, corpus], check=True)
        command = [target, '-seed=1', '-max_len=4096', f'-runs={runs}', '-timeout=10',
                   '-rss_limit_mb=1024', '-print_final_stats=1', corpus]
        return subprocess.run(command, check=False).returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[3] if sys.argv[2:3] == ['-seeds'] else None))
