"""The prompt around the image: from the tokenizer's own chat template, with lengths that masks are built from.

LLaMA-2's is `<s>[INST] ` + image tokens + (` ` + query) + ` [/INST]` + (` ` + answer) + `</s>`.
"""

import re
from functools import partial

from transformers import PreTrainedTokenizerBase

_USER = "QUERYPLACE"
_ASSISTANT = "ANSWERPLACE"
_ANCHOR = "\n"
# LLaMA-2's marks of a turn, which are no special tokens: "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>".
_MARK = re.compile(r"(?:\[|<<)/?[A-Z]+(?:\]|>>)")


class Prompt:
    """Turns queries and answers into token ids around the place where the image tokens stand.

    The template's own text is tokenised with its special tokens; text of users is tokenised so that special
    tokens and the template's marks inside it stay plain text. Segments are tokenised one by one, so that the
    prefix is the same in training and inference, whatever follows it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise ValueError(
                f"The tokenizer {tokenizer.name_or_path} has no chat template; the prompt is made from it, "
                "so add `chat_template` to its tokenizer_config.json."
            )
        if tokenizer.eos_token_id is None:
            raise ValueError(f"The tokenizer {tokenizer.name_or_path} has no end-of-sequence token.")
        self.tokenizer = tokenizer
        self.end_id: int = tokenizer.eos_token_id
        question = [{"role": "user", "content": _USER}]
        dialogue = [*question, {"role": "assistant", "content": _ASSISTANT}]
        asked = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
        answered = tokenizer.apply_chat_template(dialogue, tokenize=False)
        head, _, tail = asked.partition(_USER)
        lead, found, _ = answered.removeprefix(asked).partition(_ASSISTANT)
        if _USER not in asked or not found or not answered.startswith(asked):
            raise ValueError(
                f"The chat template of {tokenizer.name_or_path} does not keep a user's question followed by "
                "the answer as they are; the prompt around the image cannot be made from it."
            )
        self._lead = lead
        marks = sorted(set(_MARK.findall(str(tokenizer.chat_template))))
        self._marks = re.compile(f"({'|'.join(map(re.escape, marks))})") if marks else None
        self._before = tokenizer(head, add_special_tokens=False).input_ids
        self._before_text = tokenizer(head.rstrip(" "), add_special_tokens=False).input_ids
        self._space = head[len(head.rstrip(" ")) :]
        begin = tokenizer.bos_token_id
        # A template may leave the first token to the tokenizer; with it or without, it stands there once.
        if begin is not None and begin not in self._before and begin in tokenizer("").input_ids:
            self._before = [begin, *self._before]
            self._before_text = [begin, *self._before_text]
        self._tail = self._segment(tail, special=True)

    def prefix_ids(self, query: str) -> tuple[list[int], list[int]]:
        """Return the ids before and after the image tokens; an empty query adds nothing."""
        query = query.strip()
        return list(self._before), (self._segment(f" {query}") if query else []) + self._tail

    def text_ids(self, query: str) -> list[int]:
        """Return the ids of a prompt without an image, as the chat template has it."""
        return [*self._before_text, *self._segment(self._space + query.strip()), *self._tail]

    def answer_ids(self, answer: str) -> list[int]:
        """Return the ids of an answer and the end-of-sequence token."""
        return [*self._segment(self._lead + answer.strip()), self.end_id]

    def context_ids(self, text: str) -> list[int]:
        """Return the ids of text that stands in the place of the image tokens."""
        return self.tokenizer(text.strip(), add_special_tokens=False, split_special_tokens=True).input_ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of generated ids without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()

    def _segment(self, text: str, special: bool = False) -> list[int]:
        """Tokenise text that stands inside a sequence, text of users so that it does not end their turn."""
        if special or self._marks is None:
            return self._encode(text, special)
        # A mark that a user has written is spelled out, in other tokens than the template's own.
        ids: list[int] = []
        for place, part in enumerate(self._marks.split(text)):
            for piece in part if place % 2 else [part]:
                ids += self._encode(piece, special)
        return ids

    def _encode(self, text: str, special: bool) -> list[int]:
        """Tokenise a piece of text as it is tokenised in the middle of others.

        SentencePiece models put a space before every text that they are given, which is right at the beginning
        of a sequence only. Behind a line break nothing is put, so that one is tokenised with it and taken off.
        """
        if not text:
            return []
        encode = partial(self.tokenizer, add_special_tokens=False, split_special_tokens=not special)
        anchor, ids = encode(_ANCHOR).input_ids, encode(_ANCHOR + text).input_ids
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else encode(text).input_ids
