"""Settings of the MLflow view of the runs."""

from pydantic import Field

from workflow_scripts.config.base import Section


class TrackingSettings(Section):
    """Where MLflow keeps its view; the files of the runs are the truth, and an import rebuilds the view from them."""

    uri: str | None = Field(
        None,
        description="MLflow's store, such as sqlite:///results/mlflow.db or http://host:5000; null only writes files.",
    )
    live: bool = Field(True, description="Send metrics while a training runs, and not only by a later import.")
