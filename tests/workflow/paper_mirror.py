"""A mirror of the outside in miniature: every file that scale `paper` fetches, under its real host, path and name.

The pictures and annotations are those of a small generated world; the models have the published files' layouts, few
parameters and random weights.
"""

import hashlib
import io
import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import torch

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.miniature.publish import publish, zipped

sys.path.insert(0, str(Path(__file__).parent))
from odd_files import make_odd, serve_a_page

WORLD = WorldSettings(
    image_size=48, vision_corpus=1, vision_corpus_validation=1, text_scenes=1, coco_train2017=24, coco_val2017=2,
    retrieval_validation=1, coco_train2014=16, coco_train2014_evaluation=8, coco_val2014=6, coco_val2014_validation=1,
    conceptual_captions=1, visual_genome=300, visual_genome_test=1, visual_genome_validation=1, minigpt4=24,
    colour_matched_groups=1,
)  # fmt: skip
GEOMETRY = QformerGeometry(
    image_size=32, vit_patch_size=16, vit_width=16, vit_depth=1, vit_heads=2, vit_stem="patch", qformer_width=16,
    qformer_layers=2, qformer_heads=2, qformer_intermediate=32, cross_attention_freq=1, embed_dim=8,
)  # fmt: skip
KARPATHY_TEST, SHARDS_OF_CC3M = 6, 576


def build_mirror(folder: Path) -> None:
    """Write the mirror: one folder a host, and checksums.json of all that the catalogue names."""
    publish(WORLD, folder / "world", processes=1)
    (folder / "world" / "web").rename(folder / "web")
    shutil.rmtree(folder / "world")
    mirror = _Mirror(folder / "web")
    _pictures_and_splits(mirror)
    _snapshot(mirror)
    _gqa(mirror)
    _feature_extractor(mirror)
    _clip(mirror, "clip_vit_large_patch14", 32)
    _clip(mirror, "clip_vit_large_patch14_336", 48)
    _language_model(mirror)
    make_odd(mirror.root)
    mirror.write_checksums()
    serve_a_page(mirror.root)


class _Mirror:
    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, url: str) -> Path:
        parts = urlsplit(url)
        return self.root / parts.netloc / parts.path.lstrip("/")

    def put(self, source: str, name: str, content: bytes) -> None:
        """Store a listed file."""
        (file,) = (file for file in load_catalogue().source(source).files if file.name == name)
        path = self.path(file.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def put_folder(self, source: str, folder: Path) -> None:
        """Store all files of a source from a folder that has them under their listed names."""
        for file in load_catalogue().source(source).files:
            self.put(source, file.name, (folder / file.name).read_bytes())

    def write_checksums(self) -> None:
        catalogue = load_catalogue()
        files = [file for source in {**catalogue.data_sets, **catalogue.models}.values() for file in source.files]
        there = {file.url: self.path(file.url) for file in files if file.url and self.path(file.url).is_file()}
        sums = {url: hashlib.sha256(path.read_bytes()).hexdigest() for url, path in there.items()}
        (self.root / "checksums.json").write_text(json.dumps(sums))


def _pictures_and_splits(mirror: _Mirror) -> None:
    """Archives of pictures; pictures that are in a training set and in an evaluation, as the real ones are."""
    coco, genome = mirror.root / "images.cocodataset.org", mirror.root / "cs.stanford.edu/people/rak248"
    train = sorted((coco / "train2017").glob("*.jpg"))
    mirror.put(
        "coco_train2017_pictures", "train2017.zip", zipped({f"train2017/{p.name}": p.read_bytes() for p in train})
    )
    for name, parts in (("images.zip", "VG_100K"), ("images2.zip", "VG_100K_2")):
        pictures = {f"{parts}/{path.name}": path.read_bytes() for path in (genome / parts).glob("*.jpg")}
        mirror.put("visual_genome_pictures", name, zipped(pictures))
    shutil.rmtree(genome / "VG_100K")
    for path in (genome / "VG_100K_2").glob("*.jpg"):
        path.unlink()

    captions = json.loads(_member(mirror, "coco_annotations_2017", "annotations/captions_train2017.json"))
    images = []
    for position, path in enumerate(train[: KARPATHY_TEST + 4]):
        number, name = int(path.stem), f"COCO_val2014_{path.stem}.jpg"
        sentences = [
            {"raw": one["caption"], "tokens": one["caption"].split(), "imgid": position, "sentid": one["id"]}
            for one in captions["annotations"]
            if one["image_id"] == number
        ]
        split = "test" if position < KARPATHY_TEST else "restval"
        images.append({"filepath": "val2014", "filename": name, "imgid": position, "split": split, "cocoid": number})
        images[-1]["sentences"] = sentences
        shutil.copyfile(path, coco / "val2014" / name)
    content = json.dumps({"images": images, "dataset": "coco"}).encode()
    mirror.put("karpathy", "caption_datasets.zip", zipped({"dataset_coco.json": content}))

    data = json.loads(_member(mirror, "visual_genome", "image_data.json"))
    for entry, image in zip(data, images[:2], strict=False):  # the first two are pictures of Karpathy's test as well
        entry["coco_id"] = image["cocoid"]
    mirror.put("visual_genome", "image_data.json.zip", zipped({"image_data.json": json.dumps(data).encode()}))


def _member(mirror: _Mirror, source: str, name: str) -> bytes:
    for file in load_catalogue().source(source).files:
        with zipfile.ZipFile(mirror.path(file.url)) as archive:
            if name in archive.namelist():
                return archive.read(name)
    raise AssertionError(f"{source} has no {name}")


def _snapshot(mirror: _Mirror) -> None:
    """One pair a tar file, with odd ones among them."""
    jpeg = next((mirror.root / "images.cocodataset.org/train2017").glob("*.jpg")).read_bytes()
    for number in range(SHARDS_OF_CC3M):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            key = f"{number:05d}0000"
            picture = b"GIF89a that ends here" if number % 100 == 7 else jpeg
            text = "" if number % 100 == 9 else f"picture number {number} ,\nof a boat \u8239"
            for ending, content in (("jpg", picture), ("json", b"{}"), ("txt", text.encode())):
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        mirror.put("cc3m_webdataset", f"cc3m-train-{number:04d}.tar", stream.getvalue())


def _gqa(mirror: _Mirror) -> None:
    pictures = sorted((mirror.root / "images.cocodataset.org/val2014").glob("*.jpg"))[:4]
    names = ["n161313", "n235859", "2354453", "7"]
    types = {"structural": "verify", "semantic": "attr", "detailed": "existAttr"}
    questions = {
        f"20130725{n}": {"question": "Is it a boat?", "answer": "no", "imageId": name, "types": types}
        for n, name in enumerate(names)
    }
    content = {"testdev_balanced_questions.json": json.dumps(questions).encode(), "readme.txt": b"GQA"}
    mirror.put("gqa", "questions1.2.zip", zipped(content))
    shipped = {f"images/{name}.jpg": path.read_bytes() for name, path in zip(names, pictures, strict=True)}
    mirror.put("gqa_pictures", "images.zip", zipped(shipped))


def _feature_extractor(mirror: _Mirror) -> None:
    """LAVIS's three files: the checkpoint without the vision encoder, that encoder with its head, the vocabulary."""
    from workflow_scripts.models.blip2 import SPECIAL_TOKENS, OfflineBlip2Qformer

    vocabulary = "\n".join([*SPECIAL_TOKENS, "a", "boat", "kite", "red", "number", "picture", "of"]) + "\n"
    mirror.put("blip2_feature_extractor", "vocab.txt", vocabulary.encode())
    torch.manual_seed(0)
    (file,) = (f for f in load_catalogue().source("blip2_feature_extractor").files if f.name == "vocab.txt")
    model = OfflineBlip2Qformer(GEOMETRY, mirror.path(file.url))
    state = model.state_dict()
    vision = {
        name.removeprefix("visual_encoder."): v for name, v in state.items() if name.startswith("visual_encoder.")
    }
    vision = {name: value.half() for name, value in vision.items()}
    vision |= {"norm.weight": torch.ones(16), "head.weight": torch.zeros(2, 16), "head.bias": torch.zeros(2)}
    rest = {name: value for name, value in state.items() if not name.startswith("visual_encoder.")}
    mirror.put("blip2_feature_extractor", "eva_vit_g.pth", _saved(vision))
    mirror.put("blip2_feature_extractor", "blip2_pretrained.pth", _saved({"model": rest}))


def _saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _clip(mirror: _Mirror, model: str, side: int) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    folder = mirror.root / "clip"
    folder.mkdir()
    words = [
        "<|startoftext|>",
        "<|endoftext|>",
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16).save_pretrained(
        folder
    )
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**size, "vocab_size": len(words), "max_position_embeddings": 16, "eos_token_id": 1}
    vision = {**size, "image_size": side, "patch_size": 16}
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    clip.save_pretrained(folder)
    torch.save(clip.state_dict(), folder / "pytorch_model.bin")  # all that one of the two repositories has
    crop = {"height": side, "width": side}
    CLIPImageProcessor(size={"shortest_edge": side}, crop_size=crop).save_pretrained(folder)
    mirror.put_folder(model, folder)
    shutil.rmtree(folder)


def _language_model(mirror: _Mirror) -> None:
    """A LLaMA in two shards with an index, and its tokenizer with LLaMA-2's chat template."""
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    from workflow_scripts.small_models.tokenizer import build_tokenizer

    folder = mirror.root / "llama"
    tokenizer = build_tokenizer(["picture number of a boat", "what is the relationship between man and kite?"])
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    names = [f"model-{number:05d}-of-00002.safetensors" for number in (1, 2)]
    weights = {name: names[position % 2] for position, name in enumerate(state)}
    for name in names:
        save_file({key: state[key] for key, file in weights.items() if file == name}, folder / name, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    mirror.put_folder("llama_2_7b_chat", folder)
    shutil.rmtree(folder)
