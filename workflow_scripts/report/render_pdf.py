"""Print the report's page as PDF with Chromium."""

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.report.chromium import find_chromium

SECONDS = 120


def print_page(page: Path) -> bytes:
    """The PDF of an HTML file; ValueError where there is no page, no Chromium, or what it prints is no PDF."""
    if not page.is_file():
        raise ValueError(f"{page} does not exist; run the workflow first.")
    program = find_chromium()
    if program is None:
        raise ValueError(
            "There is no Chromium to print the report with, so there is no PDF; install it (Debian: apt-get install "
            f"chromium), or print {page} in any browser: it is made for paper too."
        )
    with tempfile.TemporaryDirectory(prefix="report-pdf-") as folder:
        target = Path(folder) / "report.pdf"
        # A report is our own file and reaches for nothing: the sandbox, which root may not have, guards nothing here.
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
        command += [f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", f"--print-to-pdf={target}"]
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"{program} did not print {page} within {SECONDS} seconds; try again.") from None
        content = target.read_bytes() if target.exists() else b""
    if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-64:]:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ValueError(f"{program} printed no whole PDF of {page} (exit code {done.returncode}; {last}).")
    return content


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, required=True, help="index.html of the report")
    parser.add_argument("--output", type=Path, required=True, help="PDF to write")
    arguments = parser.parse_args(argv)
    content = print_page(arguments.page)
    write_atomically(arguments.output, content)
    print(f"the report as PDF: {arguments.output} ({len(content) / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_command(main)
