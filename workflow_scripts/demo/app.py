"""Search and conversation as a web page, on the newest finished experiment."""

import argparse
import hmac
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import run_command
from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.demo.find_experiment import find_experiment
from workflow_scripts.demo.private_files import end_on_sigterm, private_files
from workflow_scripts.serving import add_allowed_hosts, is_loopback, listen, names_of_hosts

PASSWORD = "DEMO_PASSWORD"


def access(host: str, password: str | None) -> dict[str, Any]:
    """Options of `launch_page` that guard the page; reachable from other machines it is with a password only."""
    if not password:
        if is_loopback(host):
            return {}
        raise ValueError(
            f"On {host} other machines reach the demo, which needs a password: set the environment variable {PASSWORD}."
        )
    expected = password.encode()
    return {
        "auth": lambda _, given: hmac.compare_digest(given.encode(), expected),
        "auth_message": "Any name, and the password that you were given.",
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="all results, or those of one scale")
    parser.add_argument("--run", type=Path, help="folder of a training; by default the newest finished one")
    parser.add_argument("--index", type=Path, help="folder of the index; by default the newest of the same scale")
    parser.add_argument("--images", type=Path, nargs="+", help="where the index's pictures are, if they were moved")
    parser.add_argument("--feature-extractor", type=Path, help="where the index's extractor is, if it was moved")
    parser.add_argument("--host", default="127.0.0.1", help=f"another one needs a password in {PASSWORD}")
    parser.add_argument("--port", type=int, default=7860, help="0 for any free one")
    add_allowed_hosts(parser)
    parser.add_argument("--settings", type=DemoSettings.model_validate_json, default=DemoSettings())
    arguments = parser.parse_args(argv)
    guard = access(arguments.host, os.environ.get(PASSWORD))
    allowed = names_of_hosts(arguments.allowed_hosts)
    taken = listen(arguments.host, arguments.port)  # before the models are loaded, which takes a while
    experiment = find_experiment(arguments.results, arguments.run, arguments.index)
    print(f"The demo runs on {experiment.run.folder} and searches {experiment.index.folder}", flush=True)

    # Neither Gradio nor Hugging Face's libraries are to call home.
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    from workflow_scripts.demo.page import build_page, launch_page
    from workflow_scripts.demo.system import System

    end_on_sigterm()
    with private_files():
        system = System(experiment, arguments.settings, arguments.images, arguments.feature_extractor)
        page = build_page(system)
        launch_page(page, arguments.settings, arguments.host, taken=taken, allowed_hosts=allowed, **guard)


if __name__ == "__main__":
    run_command(main)
