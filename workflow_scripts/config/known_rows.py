"""Whether what a scale names is a row of the catalogue, and fits."""

from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.benchmarks import split_part
from workflow_scripts.catalogue.load import Catalogue
from workflow_scripts.config.scale import Scale


def check_rows(scale: Scale, rows: Catalogue, prefix: str) -> None:
    """Raise ValueError where a scale names a row of the catalogue that is not there or does not fit."""

    def check(key: str, found: Any, *arguments: Any) -> None:
        try:
            found(*arguments)
        except ValueError as error:
            raise ValueError(f"{prefix}{key}: {error}") from None

    def there(part: str) -> None:
        row = rows.data_set(split_part(part)[0])
        for place in filter(None, [row.folder, *(file.file for file in row.files)]):
            if not Path(place).exists():
                raise ValueError(
                    f"the data set {split_part(part)[0]} names {place}, which does not exist; paths of a row are from "
                    "the folder of its file."
                )

    def read(image_set: str) -> None:
        names = _image_sets(scale, rows)
        if image_set not in names:
            raise ValueError(f"this scale reads no images of {image_set}; it reads {', '.join(names)}.")

    for name, samples in scale.samples.items():
        for part in samples.parts:
            check(f"samples.{name}.parts", there, part)
            check(f"samples.{name}.parts", rows.native_task, part)
            check(f"samples.{name}.parts", rows.images_of, split_part(part)[0], "train")
        for data_set in samples.exclude:
            check(f"samples.{name}.exclude", rows.data_set, data_set)
    for name, settings in scale.benchmarks.items():
        check("benchmarks", rows.benchmark, name)
        for part in settings.shares or rows.benchmark(name).parts:
            check(f"benchmarks.{name}", rows.native_task, part)
            check(f"benchmarks.{name}", there, part)
            check(f"benchmarks.{name}", rows.images_of, split_part(part)[0], scale.evaluation_split)
        stages = rows.benchmark(name).asked_stages
        if stages is not None and not set(stages) & scale.stages.keys():
            raise ValueError(
                f"{prefix}benchmarks.{name} is asked after {' and '.join(stages)}, stages that this scale has not; it "
                f"has {', '.join(scale.stages)}."
            )
    for key in ("parts", "maximum_images", "picture_archives", "image_sizes"):
        for name in getattr(scale, key):
            check(key, rows.image_set, name)
            check(key, read, name)
    for name in scale.picture_archives.values():
        check("picture_archives", rows.data_set, name)
    for name in scale.search.images:
        check("search.images", rows.image_set, name)
    if scale.splits is not None:
        check("splits", rows.data_set, scale.splits)
    for role, name in scale.pretrained.model_dump().items():
        if name is not None:
            check(f"pretrained.{role}", rows.model, name)
    if not any(rows.benchmark(name).is_retrieval for name in scale.benchmarks):
        raise ValueError(f"{prefix}benchmarks: the search index needs one of captions (scorer: retrieval); add one.")
    chosen = scale.search.benchmark
    if chosen is not None and not rows.benchmark(chosen).is_retrieval:
        raise ValueError(f"{prefix}search.benchmark = {chosen!r}: its questions are answered; name one of captions.")


def _image_sets(scale: Scale, rows: Catalogue) -> list[str]:
    """The image sets of all samples and benchmarks of a scale and of its search, in the order of the catalogue."""
    found = {rows.images_of(split_part(part)[0], "train") for one in scale.samples.values() for part in one.parts}
    for name, settings in scale.benchmarks.items():
        parts = settings.shares or rows.benchmark(name).parts
        found |= {rows.images_of(split_part(part)[0], scale.evaluation_split) for part in parts}
    return [name for name in rows.image_sets if name in found | set(scale.search.images)]
