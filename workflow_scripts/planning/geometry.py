"""The geometry of a chain's models: from their own files where they are there, from settings, or from what is known."""

from pathlib import Path

from workflow_scripts.chain import Chain
from workflow_scripts.command_line import read_json
from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.planning.flops import LanguageModel
from workflow_scripts.planning.known import known_language_model


def language_model_of(chain: Chain, results: Path) -> LanguageModel:
    """Return the sizes of the language model of a chain; `results` is the folder of its scale."""
    product = chain.language_model
    folder = results / product.path
    if (folder / "config.json").is_file():
        return language_model_of_folder(folder)
    settings = product.settings
    if isinstance(settings, LanguageModelSettings):
        return LanguageModel(
            settings.hidden_size,
            settings.intermediate_size,
            settings.layers,
            settings.attention_heads,
            settings.attention_heads,
            settings.vocabulary_size,
            tied=True,
            source="settings",
        )
    name = chain.scale.pretrained.language_model
    assert name is not None, "a language model is trained here or pretrained"
    return LanguageModel(**known_language_model(name))


def language_model_of_folder(folder: Path) -> LanguageModel:
    """Read the sizes of a LLaMA from its Hugging Face folder."""
    config = read_json(folder / "config.json")
    heads = config["num_attention_heads"]
    return LanguageModel(
        config["hidden_size"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        heads,
        config.get("num_key_value_heads") or heads,
        config["vocab_size"],
        bool(config.get("tie_word_embeddings")),
        "its config.json",
    )


def feature_extractor_of(chain: Chain, results: Path) -> QformerGeometry:
    """Return the sizes of the feature extractor of a chain."""
    product = chain.feature_extractor
    path = results / product.path / "config.json"
    if path.is_file():
        return QformerGeometry.model_validate(read_json(path))
    settings = product.settings
    geometry = settings if isinstance(settings, QformerGeometry) else getattr(settings, "geometry", None)
    assert isinstance(geometry, QformerGeometry), "a feature extractor is trained here or its geometry is given"
    return geometry
