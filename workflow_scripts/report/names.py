"""What figures are called in sentences and tables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

METHODS = {
    "blip2": "BLIP-2 (ITC)",
    "blip2_itm": "BLIP-2 (ITC, the best again by ITC + ITM)",
    "clip": "CLIP",
    "clip_high_resolution": "CLIP, higher resolution",
    "colour_histogram": "colours only",
}
PHOTO_METHODS = {"q_former": "Q-Former", "linear_baseline": "linear baseline", "colour_histogram": "colours only"}
EXACT_MATCH = {
    "before": "before finetuning",
    "after": "after finetuning",
    "after_shuffled_images": "with images shuffled",
    "question_only": "from the question only",
}
_OTHERS = {
    "okvqa.accuracy.zero_shot": "OK-VQA accuracy, zero-shot",
    "okvqa.accuracy.finetuned": "OK-VQA accuracy, finetuned",
    "refcoco.accuracy_iou50": "boxes at IoU 0.5",
    "refcoco.mean_iou": "mean IoU of boxes",
}
_CAPTIONS_ASKED = {"first_caption": "first captions only", "all_captions": "all captions"}
_MEASURES = {"exact_match": "exact match", "wups_0.9": "WUPS at 0.9", "wups_0.0": "WUPS at 0.0"}
_CAPTIONS = {"cider": "CIDEr", "meteor": "METEOR"} | {f"bleu_{order}": f"BLEU-{order}" for order in range(1, 5)}
_EXPERIMENT = re.compile(r"^(?P<start>.+?)@(?P<experiment>[^.]+)(?P<end>.*)$")


def run_name(run: Mapping[str, Any]) -> str:
    """A training in words: its stage and, where it is not the report's system, its experiment."""
    stage = {"pretrain": "pretraining", "finetune": "finetuning"}.get(run["stage"])
    stage = stage or run["stage"].replace("finetune_", "finetuning, ").replace("_", " ")
    return stage if run["name"] in ("report", run["stage"].removeprefix("finetune_")) else f"{stage} ({run['name']})"


def split_experiment(id: str) -> tuple[str, str | None]:
    """The plain id of a figure and the experiment that it belongs to: `a.b@mlp.c` is `a.b.c` of `mlp`."""
    match = _EXPERIMENT.match(id)
    return (match["start"] + match["end"], match["experiment"]) if match else (id, None)


def figure_name(id: str) -> str:
    """A figure in words; an unknown one keeps its id."""
    id, experiment = split_experiment(id)
    suffix = f" ({experiment})" if experiment else ""
    parts = id.split(".")
    plain = id.removesuffix(".lemmatised")
    if plain in _OTHERS:
        return _OTHERS[plain] + (", lemmatised (not official)" if plain != id else "") + suffix
    if parts[0] == "coco_retrieval" and len(parts) >= 3:
        return _retrieval_name(METHODS.get(parts[1], parts[1]), parts[2:]) + suffix
    if parts[:2] == ["visual_genome", "exact_match"] and len(parts) >= 3 and parts[2] in EXACT_MATCH:
        contained = ", answer contained" if parts[3:] == ["contained"] else ""
        return f"exact match {EXACT_MATCH[parts[2]]}{contained}{suffix}"
    return (_photo_name(id) or id) + suffix


def _retrieval_name(method: str, parts: Sequence[str]) -> str:
    """A figure of retrieval in words: the method, the recall or rank, and of which captions in which direction."""
    *which, rank = parts
    if rank == "colour_matched_r_at_1":
        return f"{method} R@1 in colour-matched groups"
    direction = ["image to text"] if rank.startswith("image_to_text_") else []
    rank = rank.removeprefix("image_to_text_").replace("r_at_", "R@").replace("_", " ")
    return ", ".join([f"{method} {rank}", *direction, *(_CAPTIONS_ASKED.get(one, one) for one in which)])


def _photo_name(id: str) -> str | None:
    """A figure of Flickr8k or DAQUAR in words."""
    data, _, rest = id.partition(".")
    if data == "flickr8k":
        task, _, rest = rest.partition(".")
        method, *measured = rest.split(".")
        if task == "retrieval" and method in PHOTO_METHODS and measured:
            return _retrieval_name(PHOTO_METHODS[method], measured)
        measure = rest.removesuffix("_shuffled_images")
        if task == "captions" and measure in _CAPTIONS:
            return f"{_CAPTIONS[measure]} of captions" + ("" if measure == rest else " with images shuffled")
        if id == "flickr8k.is_true.accuracy":
            return "“is this true of the picture?”, accuracy"
    for measure, words in _MEASURES.items():
        if data == "daquar" and rest.startswith(f"{measure}."):
            variant, _, contained = rest.removeprefix(f"{measure}.").partition(".")
            if variant in EXACT_MATCH:
                return f"DAQUAR {words} {EXACT_MATCH[variant]}" + (", answer contained" if contained else "")
    return None
