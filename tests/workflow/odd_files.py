"""What real files have and tidy ones have not: each is in a published file, or public code works around it.

Dead addresses and Python 2's pickle: RefCOCO. Folders of macOS, other top folders and names with a number after the
ending: archives that people pack anew. Corrupt images: Visual Genome. Pages with status 200: any server. Keys that
other tar files have as well: webdatasets. Ids as text, entries that stand twice, phrases of several boxes, line breaks
in captions: annotations of all kinds.
"""

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.miniature.odd_packaging import python_2_pickle

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Not what was asked for.</body></html>\n"
Members = dict[str, bytes]


def odd_refcoco(members: Members) -> Members:
    """Dead addresses, ids as text, an image that stands twice, a phrase of several boxes of an image of val."""
    refs = pickle.loads(members["refcoco/refs(unc).p"])
    instances = json.loads(members["refcoco/instances.json"])
    for image in instances["images"]:
        image["coco_url"] = f"http://mscoco.org/images/{image['id']}"
    instances["images"].append(dict(instances["images"][0]))
    asked = next(ref for ref in refs if ref["split"] == "val")
    number = max(one["id"] for one in instances["annotations"]) + 1
    box = next(one for one in instances["annotations"] if one["id"] == asked["ann_id"])
    instances["annotations"].append({**box, "id": number, "bbox": [0, 0, 5, 5]})
    said = {**asked["sentences"][0], "sent_id": 10**6}
    refs.append({**asked, "ann_id": number, "ref_id": len(refs), "sentences": [said], "sent_ids": [10**6]})
    for position, ref in enumerate(refs):
        if position % 2:
            ref["image_id"], ref["ann_id"] = str(ref["image_id"]), str(ref["ann_id"])
    return {
        "data/refcoco/refs(unc).p": python_2_pickle(refs),
        "data/refcoco/refs(google).p": python_2_pickle([]),
        "data/refcoco/instances.json": json.dumps(instances).encode(),
        **_of_macos("data/refcoco", "instances.json", "refs(unc).p"),
    }


def odd_minigpt4(members: Members) -> Members:
    """A top folder of another name, copies with a number after the ending, ids as numbers."""
    found = {name.replace("cc_sbu_align/", "cc_sbu_align (1)/", 1): content for name, content in members.items()}
    path = "cc_sbu_align (1)/filter_cap.json"
    about = json.loads(found[path])
    for one in about["annotations"][::2]:
        one["image_id"] = int(one["image_id"])
    about["annotations"].append(dict(about["annotations"][0]))
    found[path] = json.dumps(about).encode()
    image = next(name for name in found if name.endswith(".jpg"))
    return {**found, f"{image}.1": found[image], **_of_macos("cc_sbu_align (1)/image", "0.jpg", "1.jpg")}


def odd_genome_images(members: Members) -> Members:
    """Two images that end in the middle; not the first ones, whose twins an evaluation asks about."""
    cut = sorted(members)[2:4]
    return {
        **members,
        **{name: members[name][: len(members[name]) // 3] for name in cut},
        **_of_macos("VG_100K", "1.jpg"),
    }


def odd_genome_questions(members: Members) -> Members:
    """Ids as text, a question that stands twice, a mark of the byte order before all."""
    entries = json.loads(members["question_answers.json"])
    for entry in entries[::2]:
        entry["id"] = str(entry["id"])
        for one in entry["qas"]:
            one["image_id"], one["qa_id"] = str(one["image_id"]), str(one["qa_id"])
    entries[0]["qas"].append(dict(entries[0]["qas"][0]))
    return {"question_answers.json": b"\xef\xbb\xbf" + json.dumps(entries).encode()}


def odd_okvqa(members: Members) -> Members:
    """Ids as text, and the first entry twice, in questions and annotations alike."""
    ((name, content),) = members.items()
    about = json.loads(content)
    key = "questions" if "questions" in about else "annotations"
    for one in about[key][::2]:
        one["image_id"], one["question_id"] = str(one["image_id"]), str(one["question_id"])
    about[key].append(dict(about[key][0]))
    return {f"okvqa/{name}": json.dumps(about).encode(), **_of_macos("okvqa", name)}


def odd_karpathy(members: Members) -> Members:
    """Captions with line breaks, ids as text, the files of other data sets beside it."""
    about = json.loads(members["dataset_coco.json"])
    for image in about["images"]:
        image["cocoid"] = str(image["cocoid"])
        image["sentences"][0]["raw"] = image["sentences"][0]["raw"].replace(" ", "\n", 1) + "\r\n"
    other = {"images": [], "dataset": "flickr8k"}
    return {
        "caption_datasets/dataset_flickr8k.json": json.dumps(other).encode(),
        "caption_datasets/dataset_coco.json": json.dumps(about).encode(),
        **_of_macos("caption_datasets", "dataset_coco.json"),
    }


def odd_train2017(members: Members) -> Members:
    """Another top folder, and what a file manager left in it."""
    return {**{f"coco/{name}": content for name, content in members.items()}, "coco/.DS_Store": b"\0\0\0\1Bud1"}


def _of_macos(folder: str, *names: str) -> Members:
    return {f"__MACOSX/{folder}/._{name}": b"\0\5\x16\7\0\2\0\0Mac OS X" for name in names} | {
        f"__MACOSX/{folder}/{name}": b"\0\5\x16\7\0\2\0\0Mac OS X" for name in names[:1]
    }


ODD: dict[tuple[str, str], Callable[[Members], Members]] = {
    ("refcoco", "refcoco.zip"): odd_refcoco,
    ("minigpt4", "cc_sbu_align.zip"): odd_minigpt4,
    ("visual_genome_pictures", "images.zip"): odd_genome_images,
    ("visual_genome", "question_answers.json.zip"): odd_genome_questions,
    ("okvqa", "OpenEnded_mscoco_train2014_questions.json.zip"): odd_okvqa,
    ("okvqa", "mscoco_train2014_annotations.json.zip"): odd_okvqa,
    ("okvqa", "OpenEnded_mscoco_val2014_questions.json.zip"): odd_okvqa,
    ("okvqa", "mscoco_val2014_annotations.json.zip"): odd_okvqa,
    ("karpathy", "caption_datasets.zip"): odd_karpathy,
    ("coco_train2017_pictures", "train2017.zip"): odd_train2017,
}


def make_odd(root: Path) -> None:
    """Give the files of a mirror (one folder a host) the oddities of the real ones, before its checksums."""
    for (source, name), change in ODD.items():
        path = place(root, source, name)
        with zipfile.ZipFile(path) as archive:
            members = {one.filename: archive.read(one) for one in archive.infolist()}
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in change(members).items():
                archive.writestr(member, content)
    _repeat_a_key(root)
    images = sorted((root / "images.cocodataset.org/train2014").glob("*.jpg"))
    images[0].write_bytes(PAGE)
    images[1].write_bytes(images[1].read_bytes()[:700])


def serve_a_page(root: Path) -> None:
    """Let the first address of GQA's questions serve a page, and the second one the file; after the checksums."""
    first = place(root, "gqa", "questions1.2.zip")
    second = place(root, "gqa", "questions1.2.zip", second=True)
    second.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(first, second)
    first.write_bytes(PAGE)


def place(root: Path, source: str, name: str, second: bool = False) -> Path:
    """Return where a mirror has a file of the catalogue."""
    (file,) = (file for file in load_catalogue().source(source).files if file.name == name)
    parts = urlsplit(file.archive_url if second else file.url)
    return root / parts.netloc / parts.path.lstrip("/")


def _repeat_a_key(root: Path) -> None:
    """Let a tar file of the snapshot have the key of the one before it: the names are of one length."""
    before, path = (place(root, "cc3m_webdataset", f"cc3m-train-{number:04d}.tar") for number in (20, 21))
    shutil.copyfile(before, path)
