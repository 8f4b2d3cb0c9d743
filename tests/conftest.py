"""What all tests share."""

import os

# One thread: sums over several threads differ in the last bits from run to run, and small tensors gain nothing.
os.environ["OMP_NUM_THREADS"] = "1"
