"""The adaptor as MLflow's registry keeps it: a model with a signature, which `mlflow.pyfunc.load_model` loads."""

import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workflow_scripts.models.adaptor import Adaptor

FILE = "adaptor.safetensors"


def write_model(adaptor: Path, folder: Path, run_id: str) -> None:
    """Write a folder that MLflow takes for a model: the adaptor's own file and MLmodel beside it.

    The signature is query output [B, Q, D] to soft tokens [B, Q, W]; B and Q (batch, queries) are free.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from workflow_scripts.models.adaptor import read_adaptor_metadata

    metadata = read_adaptor_metadata(adaptor)
    given, returned = int(metadata["in_features"]), int(metadata["out_features"])
    kind = np.dtype("float32")
    signature = ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, -1, given), "query_output")]),
        outputs=Schema([TensorSpec(kind, (-1, -1, returned))]),
    )
    model = Model(artifact_path=folder.name, run_id=run_id, signature=signature)
    model.add_flavor("python_function", loader_module=__name__, data=FILE, python_version=platform.python_version())
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(adaptor, folder / FILE)
    model.save(folder / "MLmodel")


class _Predictor:
    def __init__(self, adaptor: "Adaptor") -> None:
        self._adaptor = adaptor

    def predict(self, model_input: Any, params: Any = None) -> np.ndarray:
        """Query output [B, Q, D], or a mapping that names it so, to soft tokens [B, Q, W]."""
        import torch

        values = model_input["query_output"] if isinstance(model_input, dict) else model_input
        with torch.inference_mode():
            return self._adaptor(torch.from_numpy(np.asarray(values, dtype=np.float32))).numpy()


def _load_pyfunc(path: str) -> _Predictor:
    """What MLflow calls to load the model."""
    from workflow_scripts.models.adaptor import load_adaptor

    return _Predictor(load_adaptor(Path(path)))
