"""Floating-point operations and sizes of the models, from their geometry alone.

A product of [M, K] and [K, N] counts 2 M K N; only matrix products count. In shapes: T tokens, W width, Q queries.
"""

from dataclasses import dataclass

from workflow_scripts.config.timm_names import PREFIX
from workflow_scripts.config.vision import ClipSettings, QformerGeometry

BERT_VOCABULARY = 30523
# Width, blocks, inner width, patch: as LAVIS builds them.
EVA_CLIP_G = (1408, 39, 6144, 14)
CLIP_L = (1024, 22, 4096, 14)


@dataclass(frozen=True)
class LanguageModel:
    """The sizes of a LLaMA."""

    width: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied: bool = False
    source: str = ""

    @property
    def layer_parameters(self) -> int:
        """Weights of the matrices of one layer."""
        key_value = self.width * self.key_value_heads // self.heads
        return 2 * self.width**2 + 2 * self.width * key_value + 3 * self.width * self.intermediate

    def low_rank_parameters(self, rank: int) -> int:
        """Weights of additions of a rank to the matrices of all layers: a column and a row of each, so many times."""
        key_value = self.width * self.key_value_heads // self.heads
        attention = 2 * (self.width + self.width) + 2 * (self.width + key_value)
        return self.layers * rank * (attention + 3 * (self.width + self.intermediate))

    @property
    def parameters(self) -> int:
        """All weights: layers with their norms, embeddings and, where it is another matrix, the output's."""
        embeddings = self.vocabulary * self.width * (1 if self.tied else 2)
        return self.layers * (self.layer_parameters + 2 * self.width) + embeddings + self.width

    def forward(self, tokens: int | float, outputs: int | float) -> float:
        """Of one sequence of T tokens with logits at some of them."""
        attention = 4 * tokens**2 * self.width
        layers = self.layers * (2 * self.layer_parameters * tokens + attention)
        return layers + 2 * self.width * self.vocabulary * outputs

    def backward_to_input(self, tokens: int | float, outputs: int | float) -> float:
        """Of the gradient of its input, with frozen weights: products with a weight once more, attention's twice."""
        return self.forward(tokens, outputs) + self.layers * 4 * tokens**2 * self.width


def adaptor_parameters(kind: str, inputs: int, outputs: int) -> int:
    """Weights and biases of an adaptor, `linear` or `mlp`."""
    linear = inputs * outputs + outputs
    return linear if kind == "linear" else linear + outputs * outputs + outputs


def adaptor_training(kind: str, inputs: int, outputs: int, queries: int) -> float:
    """Of an adaptor's forward and backward pass on one image; the features need no gradient."""
    first, second = inputs * outputs, outputs * outputs
    return 2 * queries * (2 * first if kind == "linear" else 2 * first + 3 * second)


def adaptor_step(model: LanguageModel, kind: str, features: tuple[int, int], tokens: float, outputs: float) -> float:
    """Of training the adaptor on one sample of T tokens, `features` being Q and the feature width."""
    queries, width = features
    training = adaptor_training(kind, width, model.width, queries)
    return training + model.forward(tokens, outputs) + model.backward_to_input(tokens, outputs)


def low_rank_step(model: LanguageModel, rank: int | None, tokens: float) -> float:
    """Of training additions of a rank, if any, on T tokens: forward, and gradients of input and weights."""
    return 6 * tokens * model.low_rank_parameters(rank) if rank else 0.0


def vision_encoder(geometry: QformerGeometry) -> tuple[float, int, int, float]:
    """Return FLOPs of one picture, its tokens, their width and the encoder's parameters."""
    if geometry.vit_model.startswith(PREFIX):
        from workflow_scripts.models.timm_encoder import encoder_sizes  # seconds, which other plans need not wait

        sizes = encoder_sizes(geometry.vit_model, geometry.image_size)
        return sizes.flops, sizes.tokens, sizes.width, sizes.parameters
    known = {"eva_clip_g": EVA_CLIP_G, "clip_L": CLIP_L}
    small = (geometry.vit_width, geometry.vit_depth, 4 * geometry.vit_width, geometry.vit_patch_size)
    width, depth, inner, patch = known.get(geometry.vit_model, small)
    patches = (geometry.image_size // patch) ** 2
    flops = depth * encoder_layer(width, inner, patches + 1)
    embedding = 3 * patch**2 * width
    parameters = depth * (4 * width**2 + 2 * width * inner) + embedding
    return flops + 2 * patches * embedding, patches + 1, width, parameters


def encoder_layer(width: int, inner: int, tokens: int) -> float:
    """Of a transformer layer on T tokens: four maps of width W, two of the feed-forward part, attention."""
    return 2 * tokens * (4 * width**2 + 2 * width * inner) + 4 * tokens**2 * width


def q_former_image(geometry: QformerGeometry) -> float:
    """Of the queries' way through the Q-Former, with the picture's tokens in the cross-attention."""
    _, tokens, vision_width, _ = vision_encoder(geometry)
    width, queries = geometry.qformer_width, geometry.num_query_token
    layers = geometry.qformer_layers * encoder_layer(width, geometry.qformer_intermediate, queries)
    cross = 2 * (2 * queries * width**2 + 2 * tokens * vision_width * width) + 4 * queries * tokens * width
    looks = -(-geometry.qformer_layers // geometry.cross_attention_freq)
    return layers + looks * cross + 2 * queries * width * geometry.embed_dim


def q_former_text(geometry: QformerGeometry, tokens: int) -> float:
    """Of a text's way through the Q-Former."""
    return geometry.qformer_layers * encoder_layer(geometry.qformer_width, geometry.qformer_intermediate, tokens)


def q_former_parameters(geometry: QformerGeometry) -> float:
    """Weights of the Q-Former's matrices: a text's and the queries' own feed-forward layers, and the embeddings."""
    _, _, vision_width, _ = vision_encoder(geometry)
    width, inner = geometry.qformer_width, geometry.qformer_intermediate
    looks = -(-geometry.qformer_layers // geometry.cross_attention_freq)
    layers = geometry.qformer_layers * (4 * width**2 + 4 * width * inner)
    return layers + looks * (2 * width**2 + 2 * width * vision_width) + BERT_VOCABULARY * width


def q_former_training(geometry: QformerGeometry) -> float:
    """Of the gradients of the Q-Former's weights and of what goes through it, where it is trained: twice its way."""
    return 2 * q_former_image(geometry)


def online_features(geometry: QformerGeometry, text_tokens: float, trained: bool) -> float:
    """Of one picture's query output inside a training, with T tokens of a query beside the Q-Former's own queries."""
    texts = q_former_text(geometry, round(text_tokens)) if text_tokens else 0.0
    training = q_former_training(geometry) + 2 * texts if trained else 0.0
    return feature_extraction(geometry) + texts + training


def feature_extraction(geometry: QformerGeometry) -> float:
    """Of one picture's query output and projection."""
    return vision_encoder(geometry)[0] + q_former_image(geometry)


def clip_pair(settings: ClipSettings, text_tokens: int) -> float:
    """Of one picture and its text through both encoders of a small CLIP."""
    patches = (settings.image_size // settings.patch_size) ** 2
    picture = settings.vision_layers * encoder_layer(settings.width, 4 * settings.width, patches + 1)
    text = settings.text_layers * encoder_layer(settings.width, 4 * settings.width, text_tokens)
    return picture + text + 2 * patches * 3 * settings.patch_size**2 * settings.width
