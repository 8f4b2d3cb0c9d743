"""Import DeepSpeed and transformers without what only corners of them need that no training enters.

DeepSpeed's autotuner imports MLflow where it is installed, transformers' assisted decoding scikit-learn: together
two thirds of the time that a training takes to start, and pandas and a web framework in its memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_lean() -> None:
    """Import both packages; called before anything else imports them."""
    with _hidden("mlflow", "sklearn"):
        import deepspeed  # noqa: F401
        import transformers.generation  # noqa: F401


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let imports of these packages fail, as if they were not installed, unless they are imported already."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # None says: there is no such module
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
