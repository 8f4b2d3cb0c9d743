"""Every address of the catalogue is asked, nothing is downloaded, and what is found makes nothing run again."""

import json
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml

from workflow_scripts.catalogue import load
from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.sources import verify
from workflow_scripts.sources.catalogue_files import updated

ROOT = Path(__file__).resolve().parents[2]
CONTENT = b"PK\x03\x04" + b"x" * 100_000
ROWS = """\
# What is fetched.
data_sets:
  things:
    title: Things   # of all kinds
    files:
      - name: right.zip    # a comment beside the name
        url: https://host/right.zip
        # a comment below the address
        unpack: true
      - name: other.zip
        url: https://host/other.zip
        size: 7    # what somebody said
      - name: gone.zip
        url: https://host/gone.zip
        archive_url: https://second/gone.zip
      - name: moved.zip
        url: https://host/moved.zip
        size: 1    # wrong, but a size is what the server says
        checked: 2020-01-01    # long ago
      - name: page.tsv
        url: https://host/page.tsv
      - name: secret.zip
        url: https://host/secret.zip
      - name: silent.zip
        url: http://silent.invalid/silent.zip
      - name: "part-{00..02}.tar"
        url: "https://host/part-{00..02}.tar"
      - {name: flow.zip, url: "https://host/right.zip"}
models:
  of_a_package:
    title: A model
    files:
      - {name: m.bin, package: p==1, path: m.bin, sha256: "%s"}
""" % ("0" * 64)


@pytest.fixture
def catalogue(tmp_path, serve):
    """A user's catalogue, and the web that it names."""
    web = tmp_path / "web"
    names = ["host/right.zip", "host/other.zip", "second/gone.zip", "moved.host/moved.zip", "host/page.tsv"]
    for name in [*names, *(f"host/part-0{number}.tar" for number in range(3)), "host/secret.zip"]:
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_bytes(CONTENT)
    faults = {"host/page.tsv": "html", "host/secret.zip": "403", "host/moved.zip": "moved_for_good"}
    handler = serve(web, {**faults, "host/part-01.tar": "no_head", "host/gone.zip": "404"})
    path = tmp_path / "rows.yaml"
    path.write_text(ROWS)
    return path, handler


def run(tmp_path, path, *more):
    output = tmp_path / "results" / "sources.json"
    verify.main(["--source", "things", "--catalogue", str(path), "--output", str(output), *more])
    return json.loads(output.read_text())


def test_each_address_is_asked_without_being_downloaded_and_the_table_says_what_it_gives(tmp_path, catalogue, capsys):
    path, handler = catalogue
    found = run(tmp_path, path)
    by_name = {(entry["file"], entry["second"]): entry for entry in found["addresses"]}
    assert {name: entry["outcome"] for name, entry in by_name.items()} == {
        ("right.zip", False): "right",
        ("other.zip", False): "another size",
        ("gone.zip", False): "gone",
        ("gone.zip", True): "right",
        ("moved.zip", False): "another size",
        ("page.tsv", False): "a page, not the file",
        ("secret.zip", False): "not allowed",
        ("silent.zip", False): "no answer",
        ("part-00.tar", False): "right",
        ("part-01.tar", False): "right",
        ("part-02.tar", False): "right",
        ("flow.zip", False): "right",
    }
    assert {entry["size"] for name, entry in by_name.items() if name[0].startswith("part")} == {len(CONTENT)}
    assert by_name["moved.zip", False]["leads_to"].endswith("moved.host/moved.zip")
    assert found["outcomes"]["right"] == 6
    assert sum(found["outcomes"].values()) == len(found["addresses"])
    asked = [(command, part) for command, _, part in handler.log if command == "GET"]
    assert asked
    assert all(part in ("bytes=0-0", "bytes=-98") for _, part in asked)
    printed = capsys.readouterr().out
    assert "right.zip and 4 more" in printed
    assert f"{len(CONTENT)} bytes, 7 in the catalogue" in printed
    assert "No address gives 5 files of things at present." in printed


def test_a_zip_says_how_many_files_it_has(tmp_path, serve, capsys):
    path = tmp_path / "web" / "host" / "images.zip"
    path.parent.mkdir(parents=True)
    names = {"few": 149, "many": 70_000}
    for name, count in names.items():
        with zipfile.ZipFile(path.with_name(f"{name}.zip"), "w") as archive:
            for number in range(count):
                archive.writestr(f"{number}", b"")
    shutil.copyfile(path.with_name("few.zip"), path.with_name("unknown.zip"))
    handler = serve(tmp_path / "web", {"host/unknown.zip": "no_ranges"})
    files = [{"name": f"{name}.zip", "url": f"https://host/{name}.zip"} for name in (*names, "unknown")]
    rows = tmp_path / "rows.yaml"
    rows.write_text(json.dumps({"data_sets": {"things": {"title": "Things", "files": files}}}))
    found = run(tmp_path, rows)["addresses"]
    assert {one["file"]: one["members"] for one in found} == {"few.zip": 149, "many.zip": 70_000, "unknown.zip": None}
    assert {part for _, _, part in handler.log} == {None, "bytes=-98"}
    assert "70,149 files in it" in capsys.readouterr().out


def test_a_source_without_addresses_is_a_sentence(tmp_path, catalogue):
    path, _ = catalogue
    with pytest.raises(ValueError, match="of_a_package: there is no address to ask"):
        verify.main(["--source", "of_a_package", "--catalogue", str(path), "--output", str(tmp_path / "x.json")])


def test_an_update_writes_day_and_size_and_leaves_everything_else_as_it_was(tmp_path, catalogue):
    path, _ = catalogue
    run(tmp_path, path)
    assert path.read_text() == ROWS
    run(tmp_path, path, "--update")
    day = date.today().isoformat()
    text = path.read_text()
    found = f"        size: {len(CONTENT)}\n        checked: {day}\n        # a comment below the address"
    assert f"        url: https://host/right.zip\n{found}" in text
    assert f'        url: "https://host/part-{{00..02}}.tar"\n        checked: {day}\n' in text
    lines = text.splitlines()
    assert [line for line in lines if line not in (f"        size: {len(CONTENT)}", f"        checked: {day}")] == (
        ROWS.splitlines()
    )
    assert text.count(f"checked: {day}") == 2
    before, after = yaml.safe_load(ROWS), yaml.safe_load(text)
    for file in after["data_sets"]["things"]["files"]:
        if file.get("checked") == date.today():
            file.pop("checked")
            file.pop("size", None)
    assert after == before
    run(tmp_path, path, "--update")
    assert path.read_text() == text


def test_what_stands_in_a_row_is_replaced_in_its_place():
    found = {("things", "moved.zip"): 5, ("things", "other.zip"): None}
    new = updated(ROWS, found, date(2027, 1, 2))
    assert "    size: 5    # wrong, but a size is what the server says\n        checked: 2027-01-02    # long" in new
    assert "        url: https://host/other.zip\n        checked: 2027-01-02\n        size: 7    # what" in new


def test_the_project_s_own_rows_are_found_by_an_update_and_mean_the_same_after_it():
    catalogue = load_catalogue()
    for path in load.FOLDER.glob("*.yaml"):
        text = path.read_text()
        sources = {**catalogue.data_sets, **catalogue.models}
        found = {(name, file.name): 77 for name, row in sources.items() for file in row.files if file.url}
        new = updated(text, found, date(2027, 1, 2))
        assert [line for line in new.splitlines() if "#" in line] == [line for line in text.splitlines() if "#" in line]
        rows = yaml.safe_load(new)
        for section in ("data_sets", "models"):
            for name, row in rows.get(section, {}).items():
                for file in row.get("files", []):
                    fetched = "url" in file
                    assert ("checked" in file) is fetched, name
                    assert not fetched or file.get("size", 77) == 77


@pytest.mark.slow
def test_neither_asking_nor_an_update_makes_anything_run_again(tmp_path, monkeypatch):
    monkeypatch.delenv("MIRROR_URL", raising=False)
    for name in ("Snakefile", "config.yaml", "rules", "envs", "scales", "catalogue", "expected", "workflow_scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, tmp_path / name)

    def snakemake(*more):
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *more, "--config", "scale=tiny"]
        done = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    ids = [line.split("annotations/")[1].split("/")[0] for line in snakemake("--dry-run").splitlines() if (
        "output: results/tiny/annotations/okvqa-" in line
    )]  # fmt: skip
    target = f"results/tiny/annotations/{ids[0]}/manifest.json"
    snakemake(target)
    assert "Nothing to be done" in snakemake(target, "--dry-run")
    web = ["-m", "workflow_scripts.miniature.web", "--root", str(next(tmp_path.glob("results/tiny/world/*/web"))), "--"]
    ask = [sys.executable, "-m", "workflow_scripts.sources.verify", "--source", "okvqa", "--update"]
    done = subprocess.run(
        [sys.executable, *web, *ask], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "results/sources.json").read_text())["outcomes"] == {"right": 4}
    table = tmp_path / "catalogue" / "data_sets.yaml"
    dated = [path.read_text().count(f"checked: {date.today()}") for path in (table, ROOT / "catalogue/data_sets.yaml")]
    assert dated[0] == 4 + dated[1]
    assert "Nothing to be done" in snakemake(target, "--dry-run")
    table.write_text(table.read_text().replace("allenai.org/static", "allenai.org/other", 1))
    assert "fetch_files" in snakemake(target, "--dry-run")
