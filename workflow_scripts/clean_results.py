"""List what lies in the results that no present configuration refers to, with sizes, and remove it when told to.

A changed setting is a new folder, and setting it back finds the old one: what is listed here is of settings that the
configuration does not have now, in none of its experiments. Trainings are listed apart; they are removed with
--trainings only, and after their number was typed in as well.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.chain import all_products, chains
from workflow_scripts.command_line import run_command
from workflow_scripts.config.settings import Settings
from workflow_scripts.evaluations import evaluations
from workflow_scripts.planning.plan import read_configuration

_PRODUCT = re.compile(r".+-[0-9a-f]{12}(\.parquet)?")
# Marks of a training: its definition, or what it goes on from.
_OF_TRAINING = ("definition.json", "checkpoints", "run.json")


@dataclass(frozen=True)
class Left:
    """A folder, or a file, that no configuration refers to."""

    path: Path
    size: int
    is_training: bool


def find_left(settings: Settings) -> list[Left]:
    """Return what of a scale's results no experiment of the configuration refers to, sorted by path."""
    found = chains(settings)
    asked = (evaluation.product for evaluation in evaluations(found.values()))
    live = {path for path in all_products(found.values(), asked)}
    results = Path(settings.results) / settings.scale
    left = []
    for path in _products(results):
        if path.relative_to(results).as_posix() not in live:
            is_training = any((path / name).exists() for name in _OF_TRAINING)
            left.append(Left(path, _size(path), is_training))
    return left


def _products(results: Path) -> Iterator[Path]:
    """Yield the folders of products: in the areas of the scale's folder, those of evaluations one level below."""
    areas = [area for area in sorted(results.glob("*")) if area.is_dir()]
    areas += sorted(folder for folder in results.glob("evaluation/*") if folder.is_dir())
    for area in areas:
        if area.name in ("logs", "benchmarks", "cache", "report"):
            continue
        yield from (path for path in sorted(area.iterdir()) if _PRODUCT.fullmatch(path.name))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]
    return sum(one.stat().st_size for one in files)


def _table(left: Sequence[Left]) -> str:
    width = max((len(str(one.path)) for one in left), default=0)
    return "\n".join(f"  {one.path!s:<{width}}  {one.size / 1e6:>10,.1f} MB" for one in left)


def remove(left: Sequence[Left]) -> None:
    """Remove folders and files; a link is removed, and not what it points to."""
    for one in left:
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path)
        else:
            one.path.unlink()


def _is_sure(trainings: Sequence[Left]) -> bool:
    """Ask once more before trainings are removed: their number has to be typed in."""
    print(f"{len(trainings)} trainings and their checkpoints will be gone. Type their number to go on: ", end="")
    sys.stdout.flush()
    return sys.stdin.readline().strip() == str(len(trainings))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as snakemake takes it")
    parser.add_argument("--remove", action="store_true", help="remove what is listed, trainings apart")
    parser.add_argument("--trainings", action="store_true", help="with --remove: remove trainings as well")
    arguments = parser.parse_args(argv)
    if arguments.trainings and not arguments.remove:
        raise ValueError("--trainings is for --remove: give both, and you will be asked once more.")
    settings = read_configuration(arguments.config)
    left = find_left(settings)
    trainings = [one for one in left if one.is_training]
    others = [one for one in left if not one.is_training]
    place = f"{settings.results}/{settings.scale}"
    if not left:
        print(f"Nothing in {place} is of other settings than the present ones.")
        return
    for what, some in (("products", others), ("trainings", trainings)):
        if some:
            print(f"{len(some)} {what} in {place} are of settings that the configuration does not have now:")
            print(_table(some))
            print(f"  {sum(one.size for one in some) / 1e6:,.1f} MB in all")
    if not arguments.remove:
        print("Nothing was removed: --remove removes the products, --remove --trainings the trainings too.")
        return
    remove(others)
    print(f"{len(others)} products were removed.")
    if trainings and arguments.trainings:
        if not _is_sure(trainings):
            raise ValueError("The trainings stay: their number was not typed in.")
        remove(trainings)
        print(f"{len(trainings)} trainings were removed.")
    elif trainings:
        print("The trainings stay: --trainings removes them too.")


if __name__ == "__main__":
    run_command(main)
