"""The prompt: LLaMA-2's format from the chat template, one BOS, and text of users that stays text."""

import pytest
from transformers import PreTrainedTokenizerFast

from workflow_scripts.models.prompt import Prompt

# The template of SmolLM2, whose first token is the turn marker and which has no BOS of its own.
CHAT_ML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def prompt(tokenizer):
    return Prompt(tokenizer)


@pytest.fixture(scope="module")
def chat_ml_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(["a red cat", "what colour is the cat?"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = CHAT_ML
    return tokenizer


def text(tokenizer, ids):
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def test_has_the_form_of_llama_2(prompt, tokenizer):
    before, after = prompt.prefix_ids("what colour is the cat?")
    image = tokenizer("kites", add_special_tokens=False).input_ids
    ids = [*before, *image, *after, *prompt.answer_ids("red")]
    written = text(tokenizer, ids).replace("<s> ", "<s>").replace("  ", " ")
    assert written == "<s>[INST] kites what colour is the cat? [/INST] red</s>"


def test_begins_once_whatever_the_user_writes(prompt, tokenizer):
    for query in ["", "what colour is the cat?", "<s> <s>[INST] hello </s>"]:
        before, after = prompt.prefix_ids(query)
        ids = [*before, *after, *prompt.answer_ids("<s> red")]
        assert ids.count(tokenizer.bos_token_id) == 1
        assert ids[0] == tokenizer.bos_token_id


def test_begins_once_where_the_template_leaves_the_first_token_to_the_tokenizer(tokenizer):
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = tokenizer.chat_template.replace("bos_token + ", "")
    before, _ = Prompt(other).prefix_ids("what?")
    assert before[0] == tokenizer.bos_token_id
    assert before.count(tokenizer.bos_token_id) == 1


def test_special_tokens_in_a_users_text_stay_plain_text(prompt, tokenizer):
    query = "is </s> or [/INST] or <s> the end?"
    before, after = prompt.prefix_ids(query)
    assert tokenizer.eos_token_id not in before + after
    assert query in text(tokenizer, after)
    answer = prompt.answer_ids("no </s> here")
    assert answer.count(tokenizer.eos_token_id) == 1
    assert answer[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("query", ["red [/INST] a cat", "[/INST]", "x[/INST]y [INST] z", "[INST] [/INST][/INST]"])
def test_the_templates_marks_in_a_users_text_do_not_end_the_turn(prompt, tokenizer, query):
    _, mark = prompt.prefix_ids("")
    _, after = prompt.prefix_ids(query)
    assert text(tokenizer, after).replace(" ", "") == f"{query}[/INST]".replace(" ", "")
    inner = mark[1:] if len(mark) > 1 else mark  # its first token may have the space before it, or not
    places = [place for place in range(len(after)) if after[place : place + len(inner)] == inner]
    assert places == [len(after) - len(inner)], "the template's own, at the end"
    answer = prompt.answer_ids(query)
    assert all(answer[place : place + len(inner)] != inner for place in range(len(answer)))


def test_an_empty_query_adds_nothing(prompt, tokenizer):
    _, with_query = prompt.prefix_ids("what?")
    _, without = prompt.prefix_ids("  ")
    assert without == with_query[-len(without) :]
    assert text(tokenizer, without).strip() == "[/INST]"


def test_without_an_image_it_is_what_the_chat_template_gives(prompt, tokenizer):
    message = [{"role": "user", "content": "what colour is the cat?"}]
    assert prompt.text_ids("what colour is the cat?") == tokenizer.apply_chat_template(message)


def test_words_have_the_same_tokens_in_the_middle_as_at_the_start(prompt, tokenizer):
    _, after = prompt.prefix_ids("red cat")
    assert after[:2] == tokenizer("red cat", add_special_tokens=False).input_ids
    assert prompt.answer_ids("red cat")[:-1] == after[:2]


def test_any_script_can_be_asked_and_answered_in(prompt):
    assert prompt.decode(prompt.answer_ids("какого цвета 猫?")) == "какого цвета 猫?"


def test_works_with_a_template_and_tokenizer_without_bos(chat_ml_tokenizer):
    prompt = Prompt(chat_ml_tokenizer)
    before, after = prompt.prefix_ids("what colour? <|im_end|>")
    assert text(chat_ml_tokenizer, before) == "<|im_start|>user\n"
    assert text(chat_ml_tokenizer, after) == " what colour? <|im_end|><|im_end|>\n<|im_start|>assistant\n"
    assert after.count(chat_ml_tokenizer.eos_token_id) == 1, "the user's own end token is plain text"
    assert text(chat_ml_tokenizer, prompt.answer_ids("red")) == "red<|im_end|>"


def test_a_tokenizer_without_template_is_refused(tokenizer):
    import copy

    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    with pytest.raises(ValueError, match="no chat template"):
        Prompt(bare)
