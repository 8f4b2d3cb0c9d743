"""The programs that the rules of the workflow call, one sub-package a stage.

Importing the package prepares three things for every command in it: torchvision's operator schemas where only a
CPU build of torch is present, quiet, offline-friendly defaults of third-party libraries, and an environment in which
this machine is not reached by a proxy and caches have a place.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from workflow_scripts.surroundings import prepare_surroundings

prepare_surroundings()
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")


class _TorchvisionSchemas(importlib.abc.MetaPathFinder):
    """Declares `nms` and `qnms` before torchvision registers their meta kernels.

    The wheel of torchvision on PyPI is linked to CUDA. Beside a CPU-only torch its compiled operators do not load
    and `import torchvision` fails with "operator torchvision::nms does not exist", and LAVIS, timm and parts of
    transformers fail with it. Transforms and models need none of these operators, so that a declaration of
    their schemas is enough. Where the compiled operators load, this does nothing.
    """

    name = "torchvision._meta_registrations"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        import torch

        if not hasattr(torch.ops.torchvision, "nms"):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _TorchvisionSchemas.library = library  # a Library that is collected takes its schemas with it
        return importlib.util.find_spec(fullname)


sys.meta_path.insert(0, _TorchvisionSchemas())
