"""The tables of real photographs: Flickr8k's retrieval, captions and truths, and DAQUAR's questions about rooms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflow_scripts.config.report import ReportSettings
from workflow_scripts.report.expected import Breakdowns, Results
from workflow_scripts.report.names import EXACT_MATCH, PHOTO_METHODS
from workflow_scripts.report.tables import Matrix, Row, Table

MakeRow = Callable[[str, str, str], Row]
_RETRIEVAL = {"r_at_1": "R@1, %", "r_at_5": "R@5, %", "r_at_10": "R@10, %", "median_rank": "median rank"}
_CAPTIONS = {"cider": "CIDEr, times 100", "bleu_4": "BLEU-4, %", "bleu_1": "BLEU-1, %", "meteor": "METEOR, %"}
_DAQUAR = {"exact_match": "Exact match, %", "wups_0.9": "WUPS at 0.9, %", "wups_0.0": "WUPS at 0.0, %"}
_VARIANTS = {
    "before": "before finetuning",
    "after": "after finetuning",
    "after_shuffled_images": "control: images shuffled",
    "question_only": "control: question only",
}
_KINDS = ("after", "after_shuffled_images", "question_only", "before")


def has_photographs(results: Results) -> bool:
    """Whether any figure is of Flickr8k or DAQUAR."""
    return any(id.startswith(("flickr8k.", "daquar.")) for id in results)


def build_photo_tables(
    results: Results, scores: Sequence[Mapping[str, Any]], row: MakeRow, settings: ReportSettings
) -> list[Table]:
    """The tables of photographs in the report's order; `row` makes a row of a label, an id and a group."""
    by_id = {one["id"]: one for one in scores}

    def retrieval(name: str, title: str, prefix: str) -> Table:
        rows = [
            row(label, f"flickr8k.retrieval.{method}.{prefix}{figure}", words)
            for method, words in PHOTO_METHODS.items()
            for figure, label in _RETRIEVAL.items()
        ]
        return Table(name, title, rows, of_split=True)

    captions = [
        row(words, f"flickr8k.captions.{figure}{suffix}", label)
        for figure, label in _CAPTIONS.items()
        for suffix, words in (("", "with the right photograph"), ("_shuffled_images", "control: images shuffled"))
    ]
    daquar = [
        row(words, f"daquar.{figure}.{variant}", label)
        for figure, label in _DAQUAR.items()
        for variant, words in _VARIANTS.items()
    ]
    daquar[2:2] = [row("after, answer contained", "daquar.exact_match.after.contained", _DAQUAR["exact_match"])]
    daquar[1:1] = [row("before, answer contained", "daquar.exact_match.before.contained", _DAQUAR["exact_match"])]
    return [
        retrieval("flickr8k_retrieval", "Flickr8k. Finding the photograph of a caption, every caption asks", ""),
        retrieval("flickr8k_image_to_text", "Flickr8k. Finding a caption of a photograph", "image_to_text_"),
        Table(
            "flickr8k_captions",
            "Flickr8k. Captions after pretraining, against people's five",
            captions,
            (*_note_of_captions(by_id, settings), *_why_absent(scores, "flickr8k.captions")),
            of_split=True,
        ),
        Table(
            "flickr8k_is_true",
            "Flickr8k. Is a caption true of the photograph? Chance is 50 %",
            [row("accuracy after finetuning, %", "flickr8k.is_true.accuracy", "")],
            _note_of_truth(by_id),
            of_split=True,
        ),
        Table(
            "daquar",
            "DAQUAR. Questions that people asked about rooms",
            daquar,
            _why_absent(scores, "daquar"),
            of_split=True,
        ),
    ]


def build_kinds(breakdowns: Breakdowns) -> Matrix | None:
    """DAQUAR's exact match by kind of question, one column a system; None without the system's own."""
    found = {name: breakdowns.get(f"daquar.exact_match.{name}") or {} for name in _KINDS}
    if not found["after"]:
        return None
    shown = [name for name in _KINDS if found[name]]
    lines: list[list[str]] = []
    links = {}
    for kind in sorted(found["after"], key=lambda kind: -found["after"][kind]["n"]):
        links[len(lines), 1] = "daquar.exact_match.after"
        links |= {(len(lines), place): f"daquar.exact_match.{name}" for place, name in enumerate(shown, start=2)}
        values = [f"{found[name][kind]['value']:.1f}" if kind in found[name] else "" for name in shown]
        lines.append([kind, str(found["after"][kind]["n"]), *values])
    columns = ["", "n", *(EXACT_MATCH[name].removeprefix("with ").removeprefix("from the ") for name in shown)]
    return Matrix("daquar_kinds", "DAQUAR. Exact match by kind of question, %", columns, lines, links=links)


def _why_absent(scores: Sequence[Mapping[str, Any]], benchmark: str) -> tuple[str, ...]:
    """Why figures of a benchmark could not be computed, each reason once."""
    reasons = [one.get("absent") for one in scores if one["id"].startswith(benchmark)]
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def _note_of_captions(by_id: Mapping[str, Mapping[str, Any]], settings: ReportSettings) -> tuple[str, ...]:
    one = by_id.get("flickr8k.captions", {})
    if "different_captions" not in one:
        return ()
    n = one["figures"][0]["n"]
    note = f"{one['different_captions']} different captions of {n} photographs, {one['mean_words']:.1f} words each"
    if settings.caption_beams > 1:
        note += f", the most probable that a search with {settings.caption_beams} beams finds"
    return (f"{note}.",)


def _note_of_truth(by_id: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    shares = by_id.get("flickr8k.is_true.accuracy", {}).get("yes_and_no")
    if not shares:
        return ()
    neither = 100 - shares["said_yes"] - shares["said_no"]
    said = f"It said yes to {shares['said_yes']:.1f} %, where yes is right for {shares['right_yes']:.1f} %"
    return (f"{said}; {neither:.1f} % of its replies were neither yes nor no.",)
