import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from flatrec.utils.malloc import tune_malloc
if sys.argv[1] == "keep":
    assert tune_malloc()
for _ in range(20):
    torch.zeros(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.zeros(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_is_kept_is_not_fetched_again():
    def faults(how):
        words = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    assert faults("keep") < faults("leave") / 10
