"""Real photographs from a mirror, made by hand here: downloaded once, and not again from another copy of it."""

import io
import shutil

import pytest
import yaml
from PIL import Image

from workflow_scripts.chain import chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings

pytestmark = pytest.mark.slow


def jpeg(number):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (number * 20, 90, 60)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def mirror(tmp_path):
    """A folder with flickr8k/ and daquar/ in the layout of the corpora, six pictures each."""
    names = [f"p{number}.jpg" for number in range(6)]
    captions = "".join(f"{name}#{k}\tA harp , {k} .\n" for name in names for k in range(5))
    texts = {
        "flickr8k/Flickr8k.token.txt": captions,
        "flickr8k/Flickr_8k.trainImages.txt": "".join(f"{name}\n" for name in names[:4]),
        "flickr8k/Flickr_8k.devImages.txt": "".join(f"{name}\n" for name in names[4:]),
        "daquar/qa.894.raw.train.txt": "".join(f"what lies in the image{n} ?\nharp\n" for n in range(2001, 2007)),
    }
    folder = tmp_path / "mirror"
    for number in range(6):
        for name in (f"flickr8k/images/p{number}.jpg", f"daquar/images/image{2001 + number}.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(jpeg(number))
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def targets(untouched):
    """The manifests of the image sets, as Snakemake is asked for them."""
    config = yaml.safe_load((untouched.folder / "config.yaml").read_text())
    settings = load_settings(merge(config, {"scale": "photos"}), untouched.folder / "scales")
    chain = chains(settings)["report"]
    sets = ("flickr8k_train", "flickr8k_validation", "daquar_train")
    return [f"results/photos/{chain.images(name).path}/manifest.json" for name in sets]


def test_what_came_from_a_mirror_is_not_fetched_again_from_another_one(untouched, mirror, targets, tmp_path):
    config = {"scale": "photos"}
    first = {"fetch_files": 2, "list_image_urls": 3, "download_images": 3}
    assert untouched.planned(*targets, **config, mirror=mirror) == first
    untouched.snakemake(*targets, **config, mirror=mirror)
    assert not untouched.planned(*targets, **config, mirror=mirror)
    other = tmp_path / "another mirror"
    shutil.copytree(mirror, other)
    (other / "flickr8k" / "Flickr8k.token.txt").write_text("others\n")
    assert not untouched.planned(*targets, **config, mirror=other)

    # The same from the public archives: other files of the same data sets.
    archives = {"fetch_files": 4, "list_image_urls": 3, "pack_images": 3}
    assert untouched.planned(*targets, **config) == archives
    missing = untouched.snakemake(*targets, "--dry-run", succeeds=False, **config, mirror=tmp_path / "no mirror")
    assert "there is no such folder; it holds one sub-folder a host" in missing


def test_a_mirror_that_lacks_a_file_is_one_sentence(untouched, mirror, targets):
    (mirror / "daquar" / "qa.894.raw.train.txt").unlink()
    output = untouched.snakemake(targets[2], succeeds=False, scale="photos", mirror=mirror)
    assert "the mirror has no file daquar/qa.894.raw.train.txt" in output
    assert "Traceback" not in output
