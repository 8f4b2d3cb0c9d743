"""A small tokenizer in LLaMA's format: words of the corpus are tokens, any other text falls back to bytes."""

import json
from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaTokenizerFast

SPACE = "▁"
# LLaMA-2's template without its system prompt.
LLAMA_2_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'].strip() + eos_token }}"
    "{% else %}{{ raise_exception('This model knows the roles user and assistant only.') }}{% endif %}"
    "{% endfor %}"
)
_SPECIAL = ["<unk>", "<s>", "</s>"]
_BYTES = [f"<0x{value:02X}>" for value in range(256)]


def build_tokenizer(texts: Iterable[str], vocabulary_size: int = 4000, whole_words: bool = True) -> LlamaTokenizerFast:
    """Train a byte-pair tokenizer on texts until each of their words is one token, digits and signs apart.

    Raises ValueError when the vocabulary size does not suffice for that. Without `whole_words` the most frequent
    words become tokens, as far as the vocabulary goes, and rare ones several.
    """
    words = Counter(word for text in texts for word in text.split())
    words.update(["[INST]", "[/INST]"])
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=True),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(f"{SPACE}?[^\\w\\s{SPACE}]+"), behavior="isolated"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=1 if whole_words else 2,
        special_tokens=_SPECIAL + _BYTES,
        initial_alphabet=[SPACE, *map(chr, range(33, 127))],
        show_progress=False,
    )
    # For whole words they are given once, as how often they occur does not matter; else as often as they occur.
    tokenizer.train_from_iterator(sorted(words) if whole_words else sorted(words.elements()), trainer)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    if whole_words and tokenizer.get_vocab_size() >= vocabulary_size:
        raise ValueError(
            f"A vocabulary of {vocabulary_size} entries does not hold every word of the corpus as one token; raise it."
        )
    # The trainer knows byte tokens as special ones only; special they must not be, or decoding would drop them.
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = [token for token in description["added_tokens"] if token["content"] in _SPECIAL]
    special = {name: AddedToken(name, special=True, normalized=False) for name in _SPECIAL}
    wrapped = LlamaTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(description)),
        unk_token=special["<unk>"],
        bos_token=special["<s>"],
        eos_token=special["</s>"],
        add_bos_token=True,
        add_eos_token=False,
        legacy=False,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = LLAMA_2_CHAT_TEMPLATE
    return wrapped
